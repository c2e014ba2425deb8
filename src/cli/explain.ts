/** A closer look at a token, a layer or a head: the tool of that name (`src/tools/`) as a subcommand. */
import { analysisSettings } from '../analysis/present.js';
import { define } from '../experiments/experiment.js';
import { shared } from '../experiments/shared/inputs.js';
import { promptJson, runJson } from '../experiments/shared/json.js';
import { factsOf, runPrompt } from '../experiments/shared/run.js';
import { explained, lookInputs } from '../tools/explain.js';

export const explain = define({
  id: 'explain',
  title: 'A closer look',
  about: 'inside',
  command: 'Explain',
  description: 'What is known of one token, layer or head of a run.',
  help: 'show what is known of one token, layer or head of a run',
  inputs: { model: shared.model, text: shared.prompt, ...lookInputs },
  async *run({ engine, part, thresholds, ...setup }, { model, text, ...look }, signal) {
    const request = { ...setup, model, prompt: { text: text.text }, window: part };
    const analysis = yield* runPrompt(engine, request, signal);
    const run = { engine, analysis, thresholds, ready: alreadyRun };
    return { analysis, thresholds, ...(yield* explained(run, look, signal)) };
  },
  present({ analysis, thresholds, sentence, parts }) {
    return { title: 'A closer look', sentence, settings: analysisSettings(analysis, thresholds), warnings: [], parts };
  },
  json: ({ analysis, parts }, { text, token, layer, head }) => ({
    ...runJson(factsOf(analysis)),
    ...promptJson(text),
    token: token ?? null,
    layer: layer ?? null,
    head: head ?? null,
    /** Tables: a row has a cell for each column. */
    parts: parts.flatMap((part) =>
      part.kind === 'table'
        ? [{ heading: part.heading, columns: part.columns.map(({ name }) => name), rows: part.rows }]
        : [],
    ),
  }),
});

/** The run was the last thing that was made. */
async function* alreadyRun() {}
