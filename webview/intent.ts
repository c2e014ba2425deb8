/** What a webview keeps of itself between lives: what the user had open, never data. */
import * as v from 'valibot';

const version = 1;
const schema = v.object({
  version: v.literal(version),
  scroll: v.number(),
  tables: v.array(v.string()),
  page: v.optional(v.picklist(['analysis', 'experiments']), 'analysis'),
});

export type Intent = v.InferOutput<typeof schema>;

/** What was kept, or the beginning where nothing was or where another version kept it. */
export function readIntent(kept: unknown): Intent {
  const result = v.safeParse(schema, kept);
  return result.success ? result.output : { version, scroll: 0, tables: [], page: 'analysis' };
}
