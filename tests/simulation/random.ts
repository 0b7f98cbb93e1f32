/** Numbers that look random and are the same for the same seed (mulberry32). */
export interface Random {
  /** 0 to below `limit`. */
  below(limit: number): number
  /** True once in `times`. */
  oneIn(times: number): boolean
  pick<T>(list: readonly T[]): T | undefined
  /** One of the words, each as often as its weight says. */
  weighted<W extends string>(weights: Readonly<Record<W, number>>): W
}

export function seededRandom(seed: number): Random {
  let state = seed >>> 0

  function below(limit: number): number {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return Math.floor((((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32) * limit)
  }

  return {
    below,
    oneIn: (times) => below(times) === 0,
    pick: (list) => list[below(list.length)],
    weighted(weights) {
      const words = Object.keys(weights) as (keyof typeof weights)[]
      let left = below(words.reduce((sum, word) => sum + weights[word], 0))
      for (const word of words) {
        left -= weights[word]
        if (left < 0) return word
      }
      throw new RangeError('no word has a weight')
    },
  }
}
