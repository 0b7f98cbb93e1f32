/** Addresses that only programs of this machine reach. */
import { isIPv4 } from 'node:net'

/** Names other than localhost may lead anywhere, so they do not count. */
export function isLoopback(host: string): boolean {
  const name = host.toLowerCase().replace(/^\[(.*)\]$/, '$1')
  if (name === 'localhost' || name.endsWith('.localhost') || name === '::1') return true
  return isIPv4(name) && name.startsWith('127.')
}
