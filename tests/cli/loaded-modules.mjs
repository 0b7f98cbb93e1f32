// Says on stderr which files are loaded, ES modules and CommonJS alike.
import { writeSync } from 'node:fs'
import { Module, register } from 'node:module'

const hook = `
import { writeSync } from 'node:fs'
export async function load(url, context, next) {
  writeSync(2, 'loaded ' + url + '\\n')
  return next(url, context)
}`
register(`data:text/javascript,${encodeURIComponent(hook)}`)

const load = Module._load
Module._load = function (request, parent, isMain) {
  const path = Module._resolveFilename(request, parent, isMain)
  if (path.startsWith('/')) writeSync(2, `loaded file://${path}\n`)
  return load.call(this, request, parent, isMain)
}
