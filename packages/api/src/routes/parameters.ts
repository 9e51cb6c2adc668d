import { z } from 'zod'

/**
 * The parameter of every path that names one thing. Any text is taken, so that a malformed id is answered like one that
 * does not exist.
 */
export const byId = z.strictObject({ id: z.string() })
