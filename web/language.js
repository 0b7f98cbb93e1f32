/**
 * Before uPlot, which ends at a language that is none: where the machine has no locale, browsers name
 * `en-US@posix`.
 */
try {
  Intl.getCanonicalLocales(navigator.language)
} catch {
  Object.defineProperty(navigator, 'language', { value: 'en' })
}
