/** Where the prompt comes from: the command line, a file, standard input. */
import { createReadStream } from 'node:fs'
import type { Context } from './context.ts'
import { UsageError } from './errors.ts'

const PROMPT_MAX_MIB = 8

/** @returns null where none is given. */
export async function readPrompt(
  context: Context,
  argument: string | undefined,
  file: string | undefined,
): Promise<string | null> {
  if (argument !== undefined && file !== undefined) {
    throw new UsageError('the prompt is given twice: as an argument and with --file')
  }
  const prompt = await read(context, argument, file)
  if (prompt?.trim() === '') throw new UsageError('the prompt is empty')
  return prompt
}

async function read(
  context: Context,
  argument: string | undefined,
  file: string | undefined,
): Promise<string | null> {
  if (file !== undefined) return readAll(createReadStream(file), file)
  if (argument === '-') return readAll(context.stdin, 'standard input')
  return argument ?? null
}

/** Without the line break at the end, which belongs to the file, not to the prompt. */
async function readAll(source: AsyncIterable<Uint8Array>, name: string): Promise<string> {
  const chunks: Uint8Array[] = []
  let size = 0
  try {
    for await (const chunk of source) {
      chunks.push(chunk)
      size += chunk.length
      if (size > PROMPT_MAX_MIB * 1024 * 1024) break
    }
  } catch (error) {
    throw new UsageError(`cannot read ${name}: ${error instanceof Error ? error.message : error}`)
  }
  if (size > PROMPT_MAX_MIB * 1024 * 1024) {
    throw new UsageError(`${name} holds more than ${PROMPT_MAX_MIB} MiB, too much for a prompt`)
  }
  try {
    const text = new TextDecoder('utf-8', { fatal: true }).decode(Buffer.concat(chunks))
    return text.replace(/\r?\n$/, '')
  } catch {
    throw new UsageError(`${name} is not UTF-8 text`)
  }
}
