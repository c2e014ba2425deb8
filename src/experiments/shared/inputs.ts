/** Inputs of more than one experiment. */

const model = {
  kind: 'model',
  label: 'Model',
  flag: '<model>',
  help: 'path of a .onnx file, or the name of a bundled model',
  chosen: true,
} as const;

const text = {
  kind: 'text',
  label: 'Text',
  flag: '--file <path>',
  help: 'a UTF-8 text file, or one of records (.jsonl, .parquet), to measure on',
  document: 'open',
} as const;

const tokens = {
  kind: 'whole',
  label: 'First tokens only',
  flag: '--tokens <N>',
  help: 'use only the first N tokens of the text',
  unit: 'tokens',
  least: 1,
  open: 'all',
} as const;

const seed = {
  kind: 'whole',
  label: 'Seed',
  flag: '--seed <n>',
  help: 'of the random entries',
  least: 0,
  default: 0,
} as const;

/** No window is smaller: of two tokens one can be scored by the other. A prefix token counts, so it may need more. */
const window = {
  kind: 'whole',
  label: 'Window (tokens)',
  flag: '--window <tokens>',
  help: 'length of a sequence, prefix included',
  unit: 'tokens',
  within: 'context',
  least: 2,
  default: 256,
} as const;

const stride = {
  kind: 'whole',
  label: 'Stride',
  flag: '--stride <tokens>',
  help: 'score only so many tokens at the end of each window',
  unit: 'tokens',
  least: 1,
  open: 'window',
} as const;

const calibration = {
  kind: 'text',
  label: 'Calibration text',
  flag: '--calibrate <path>',
  help: 'another such file, to find the entries and their means on',
} as const;

/** Texts that are cut into sequences. */
const corpus = {
  kind: 'texts',
  label: 'Corpus',
  flag: '--file <path>',
  help: 'a UTF-8 text file, records (.jsonl, .parquet), or a folder with such; may be repeated',
  document: 'open',
} as const;

/** One text of which a part is run, in one piece. */
const piece = { ...text, help: 'a UTF-8 text file, or one of records (.jsonl, .parquet)' } as const;

const firstTokens = {
  kind: 'whole',
  label: 'First tokens only',
  flag: '--tokens <N>',
  help: 'run the first N tokens, prefix included',
  unit: 'tokens',
  within: 'context',
  least: 1,
  default: 256,
} as const;

/** One text that is run at once. */
const prompt = { ...piece, prompt: true } as const;

/** Two next tokens that are compared. */
const answers = {
  kind: 'pair',
  label: 'Answers',
  flag: '--answers <tokens...>',
  help: 'two next tokens, each with the blank before it where it has one: the first one’s logit − the second one’s',
} as const;

export const shared = {
  corpus,
  model,
  text,
  piece,
  prompt,
  calibration,
  window,
  stride,
  tokens,
  firstTokens,
  seed,
  answers,
} as const;
