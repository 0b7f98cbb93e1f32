/** Addresses that only programs of this machine reach. */
import { isIPv4 } from 'node:net'

/**
 * Names other than localhost may lead anywhere, so they do not count.
 * @param host as a URL has it: an IPv6 address may be in brackets
 */
export function isLoopback(host: string): boolean {
  if (host.startsWith('127.')) return isIPv4(host)
  const name = host.toLowerCase()
  return name === 'localhost' || name.endsWith('.localhost') || name === '::1' || name === '[::1]'
}
