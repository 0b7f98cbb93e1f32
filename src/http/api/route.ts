/** What is said of a route: its handler reads by it, and /openapi.json is made of it. */
import type { z } from 'zod'
import type { ErrorCode } from '../errors.ts'

export interface RouteDescription {
  /** What it does, as a heading: `Add a run`. */
  summary: string
  /** What a caller should know beside that. */
  description?: string
  /** What `readQuery` reads. */
  query?: z.ZodObject
  headers?: z.ZodObject
  /** What `readBody` reads. */
  body?: z.ZodType
  /** A body that does what the summary says. */
  example?: unknown
  answers: Readonly<Record<number, Answer>>
  /** Its own; what any route may answer is added. */
  errors?: readonly ErrorCode[]
}

export interface Answer {
  description: string
  /** Of a JSON answer; absent where there is no body. */
  schema?: z.ZodType
  example?: unknown
  /** Of an answer in another form. */
  contentType?: 'text/event-stream' | 'text/html' | 'text/plain'
}

/** By method and path, as `ACCESS` names them. */
export type Routes = Readonly<Record<string, RouteDescription>>

/** Keeps what each route has, so that its handler gets the type of its body and query. */
export const describeRoutes = <const T extends Routes>(routes: T): T => routes
