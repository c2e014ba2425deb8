/** What a webview keeps of itself between lives: what the user had open, never data. */
import * as v from 'valibot';

const version = 1;
const schema = v.object({
  version: v.literal(version),
  scroll: v.number(),
  tables: v.array(v.string()),
  page: v.optional(v.picklist(['analysis', 'experiments']), 'analysis'),
  /** Number of the newest experiment that was shown. */
  seen: v.optional(v.number()),
});

export type Intent = v.InferOutput<typeof schema>;

/** What was kept, or the beginning, on the host's page, where nothing was or where another version kept it. */
export function readIntent(kept: unknown, page: string | undefined): Intent {
  const result = v.safeParse(schema, kept);
  if (result.success) return result.output;
  return { version, scroll: 0, tables: [], page: page === 'experiments' ? page : 'analysis' };
}
