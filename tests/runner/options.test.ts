import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { findProgram, runnerSettings } from '../../src/runner/options.ts'

const given = { url: 'http://127.0.0.1:8765', command: ['cat'] as [string] }

function directoryWith(file: string, mode: number): string {
  const directory = mkdtempSync(join(tmpdir(), 'runner-'))
  onTestFinished(() => rmSync(directory, { recursive: true }))
  writeFileSync(join(directory, file), '#!/bin/sh\n')
  chmodSync(join(directory, file), mode)
  return directory
}

test('makes the project directory absolute', () => {
  expect(runnerSettings(given).project_dir).toBe(process.cwd())
  expect(runnerSettings({ ...given, project_dir: 'src' }).project_dir).toBe(
    join(process.cwd(), 'src'),
  )
})

test('refuses what makes no sense, in words', () => {
  for (const slots of [0, 101, 1.5]) {
    expect(() => runnerSettings({ ...given, slots })).toThrow(/slots must be a whole number/)
  }
  expect(() => runnerSettings({ ...given, project_dir: '/there/is/none' })).toThrow(
    'the project directory /there/is/none does not exist',
  )
})

test('finds a program in PATH, or by its path', () => {
  const bin = directoryWith('agent', 0o755)
  expect(findProgram('agent', `/there/is/none:${bin}`)).toBe(join(bin, 'agent'))
  expect(findProgram(join(bin, 'agent'), '')).toBe(join(bin, 'agent'))
})

test('a program that is not there, or no program, is an error at the start', () => {
  const bin = directoryWith('notes.txt', 0o644)
  expect(() => findProgram('agent', bin)).toThrow('no program "agent" to execute in PATH')
  expect(() => findProgram('./agent', bin)).toThrow('no program "./agent" to execute')
  expect(() => findProgram(bin, '')).toThrow('to execute')
  expect(() => findProgram('echo hi | cat')).toThrow('sh -c')
})
