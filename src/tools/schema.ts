/** Inputs as JSON Schema: what agents are told, and all that a call may hold. */
import type { ExperimentInput, ExperimentInputs } from '../experiments/facts.js';
import { defaultOf, isNeeded } from '../experiments/values.js';

/** The subset of JSON Schema that models of every maker take. */
export interface JsonSchema {
  readonly type: 'object' | 'string' | 'integer' | 'number' | 'boolean' | 'array';
  readonly description?: string;
  readonly properties?: Readonly<Record<string, JsonSchema>>;
  readonly required?: readonly string[];
  readonly additionalProperties?: false;
  readonly items?: JsonSchema;
  readonly enum?: readonly string[];
  readonly minimum?: number;
  readonly maximum?: number;
  readonly minItems?: number;
  readonly maxItems?: number;
  readonly default?: string | number | boolean;
}

/** Inputs that tools have: none that has a file written. */
export function offered(inputs: ExperimentInputs): ExperimentInputs {
  return Object.fromEntries(Object.entries(inputs).filter(([, input]) => !('writes' in input && input.writes)));
}

export function schemaOf(inputs: ExperimentInputs): JsonSchema & { readonly type: 'object' } {
  const names = Object.keys(inputs);
  return {
    type: 'object',
    properties: Object.fromEntries(names.map((name) => [name, propertyOf(inputs, name)])),
    required: names.filter((name) => isNeeded(inputs, name, {})),
    additionalProperties: false,
  };
}

function propertyOf(inputs: ExperimentInputs, name: string): JsonSchema {
  const input = inputs[name];
  if (!input) throw new Error(`there is no input ${name}`);
  // Of a list of models it is a word for them.
  const value = input.kind === 'models' ? undefined : defaultOf(input);
  return {
    ...typeOf(input),
    description: descriptionOf(input),
    ...(value !== undefined && input.kind !== 'pair' && { default: value }),
  };
}

function descriptionOf(input: ExperimentInput): string {
  const { help, neededFor } = input;
  const meant =
    input.kind === 'models' && input.default ? 'the bundled ones' : 'open' in input ? input.open : undefined;
  const open = meant === undefined ? '' : `; left out: ${meant}`;
  const only = neededFor ? `; for ${neededFor.input} ${neededFor.is.join(', ')} only` : '';
  return `${input.label}: ${help}${open}${only}`;
}

function typeOf(input: ExperimentInput): JsonSchema {
  switch (input.kind) {
    case 'text':
      return {
        type: 'object',
        properties: {
          text: { type: 'string', description: 'the text itself' },
          file: { type: 'string', description: 'or the path of a UTF-8 file, or of one of records (.jsonl, .parquet)' },
        },
        additionalProperties: false,
      };
    case 'texts':
      return {
        type: 'object',
        properties: {
          texts: { type: 'array', items: { type: 'string' }, description: 'texts themselves' },
          files: { type: 'array', items: { type: 'string' }, description: 'or paths of such files or of folders' },
        },
        additionalProperties: false,
      };
    case 'files':
    case 'models':
      return { type: 'array', items: { type: 'string' }, minItems: 1 };
    case 'whole':
      return { type: 'integer', minimum: input.least, ...(input.most !== undefined && { maximum: input.most }) };
    case 'number':
      return {
        type: 'number',
        ...(input.least !== undefined && { minimum: input.least }),
        ...(input.most !== undefined && { maximum: input.most }),
      };
    case 'choice':
      return { type: 'string', enum: input.choices };
    case 'switch':
      return { type: 'boolean' };
    case 'pair':
      return { type: 'array', items: { type: 'string' }, minItems: 2, maxItems: 2 };
    case 'model':
    case 'indices':
    case 'words':
      return { type: 'string' };
  }
}
