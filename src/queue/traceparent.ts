/** W3C trace context, level 1: `00-TRACE_ID-SPAN_ID-FLAGS`. */
const TRACEPARENT = /^00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}$/

/** @returns null where it is none, as who reads one must ignore what is malformed. */
export const parseTraceparent = (text: string | undefined): string | null =>
  text !== undefined && TRACEPARENT.test(text) ? text : null
