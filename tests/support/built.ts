/**
 * Modules as they were built, for what tests start in threads and processes of their own: from the
 * sources each of those would translate them anew, which takes longer than most tests.
 */
const folder = new URL('../../dist/', import.meta.url)

/** @param path of the source, from `src` on, without its extension */
export const importBuilt = (path: string) => import(new URL(`${path}.js`, folder).href)
