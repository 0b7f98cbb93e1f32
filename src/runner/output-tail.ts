/**
 * The end of a stream of any length, in memory of a fixed size: a ring that the newest bytes
 * overwrite.
 */
export class OutputTail {
  readonly #ring: Buffer
  /** Bytes seen so far; modulo the ring's size the place of the next one. */
  #seen = 0

  constructor(bytes: number) {
    this.#ring = Buffer.alloc(bytes)
  }

  push(chunk: Uint8Array): void {
    const size = this.#ring.length
    const kept = chunk.subarray(Math.max(0, chunk.length - size))
    const at = (this.#seen + chunk.length - kept.length) % size
    const untilEnd = kept.subarray(0, size - at)
    this.#ring.set(untilEnd, at)
    this.#ring.set(kept.subarray(untilEnd.length), 0)
    this.#seen += chunk.length
  }

  /** Of the beginning, in bytes. */
  get leftOut(): number {
    return Math.max(0, this.#seen - this.#ring.length)
  }

  /** UTF-8; begins with a whole character, and what is no UTF-8 at all becomes U+FFFD. */
  text(): string {
    const size = this.#ring.length
    if (this.#seen <= size) return this.#ring.toString('utf8', 0, this.#seen)
    const at = this.#seen % size
    const bytes = Buffer.concat([this.#ring.subarray(at), this.#ring.subarray(0, at)])
    let start = 0
    // Bytes 10xxxxxx go on with a character whose beginning is lost: at most three of them.
    while (start < 3 && ((bytes[start] ?? 0) & 0xc0) === 0x80) start++
    return bytes.toString('utf8', start)
  }
}
