/** A program that runs SQL by a SQLite library written in Rust: `sql-in-rust.mjs PATH SQL`. */
import Database from 'libsql'

const [, , path = '', sql = ''] = process.argv
new Database(path).exec(sql)
