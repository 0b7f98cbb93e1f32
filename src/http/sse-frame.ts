/** What goes over the wire in live streams: https://html.spec.whatwg.org/multipage/server-sent-events.html */
const encoder = new TextEncoder()

/** JSON has no line breaks of its own, so one `data:` line holds it. */
export const frameOf = (id: string, event: string, data: unknown): Uint8Array =>
  encoder.encode(`id: ${id}\nevent: ${event}\ndata: ${JSON.stringify(data)}\n\n`)

export const HEARTBEAT = encoder.encode(':\n\n')

/**
 * Where the client was. The header wins: a browser that connects again sends it, and the query that it
 * was first told as well.
 */
export const lastEventId = (header: string | undefined, query: string | undefined) =>
  header || query || null
