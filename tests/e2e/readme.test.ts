/** The programs that README.md shows, checked and run as they stand there. */
import { execFile } from 'node:child_process'
import { mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { expect, onTestFinished, test } from 'vitest'
import { startHere } from '../server/in-process.ts'
import { tempDir } from '../support/temp-dir.ts'
import { Program } from './program.ts'

const ROOT = fileURLToPath(new URL('../..', import.meta.url))
const TSC = join(ROOT, 'node_modules', 'typescript', 'bin', 'tsc')
const PROGRAMS = [
  ...readFileSync(join(ROOT, 'README.md'), 'utf8').matchAll(/^```ts\n(.*?)^```$/gms),
].map(([, program = '']) => program)

const COMPILER_OPTIONS = {
  ...{ module: 'nodenext', target: 'es2023', strict: true, exactOptionalPropertyTypes: true },
  ...{ noUncheckedIndexedAccess: true, types: ['node'], skipLibCheck: true },
}

/** In a folder where the package is installed, as it would be for anybody. */
async function runInFolder(program: string): Promise<string> {
  const folder = tempDir()
  mkdirSync(join(folder, 'node_modules', '@types'), { recursive: true })
  symlinkSync(ROOT, join(folder, 'node_modules', 'runqueue'))
  const types = join('node_modules', '@types', 'node')
  symlinkSync(join(ROOT, types), join(folder, types))
  writeFileSync(join(folder, 'package.json'), '{"type":"module"}')
  writeFileSync(join(folder, 'program.ts'), program)
  const tsconfig = { compilerOptions: COMPILER_OPTIONS, include: ['program.ts'] }
  writeFileSync(join(folder, 'tsconfig.json'), JSON.stringify(tsconfig))
  const node = async (...args: string[]) =>
    (await promisify(execFile)(process.execPath, args, { cwd: folder })).stdout
  expect(await node(TSC, '--pretty', 'false').catch(({ stdout }) => stdout)).toBe('')
  return await node('program.js')
}

const programWith = (text: string): string => {
  const found = PROGRAMS.find((program) => program.includes(text))
  if (found === undefined) throw new Error(`README.md shows no program with ${text}`)
  return found
}

test('the client', async () => {
  const { url } = await startHere({})
  const greeting = 'read name; echo "hello $name"'
  const folder = tempDir()
  const runner = new Program(['runner', '--url', url, '--', 'sh', '-c', greeting], { cwd: folder })
  onTestFinished(async () => void (await runner.end('SIGTERM')))
  const program = programWith('runqueue/client').replace('http://127.0.0.1:8765', url)
  expect(await runInFolder(program)).toBe('completed hello world\n\n409 run_wrong_status\n')
})

test('the queue in the own process', async () => {
  expect(await runInFolder(programWith('openRunQueue'))).toBe('hello world\n')
})

test('there is no other', () => {
  expect(PROGRAMS).toHaveLength(2)
})
