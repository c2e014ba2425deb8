/** The arguments of a call as values of inputs: checked, files read, models found. */
import * as v from 'valibot';
import { SinkscopeError } from '../errors.js';
import type { ExperimentInput, ExperimentInputs } from '../experiments/facts.js';
import { readDocument, readTexts, textFilesAt } from '../experiments/shared/files.js';
import { type RecordReader, recordsAt } from '../experiments/shared/records.js';
import type { Corpus, Given, NamedText } from '../experiments/values.js';
import { type FoundModel, isMain } from '../models/find.js';
import { named, quoted } from '../visible.js';
import type { Surroundings } from './desk.js';
import { pathWithin } from './paths.js';

const text = v.strictObject({ text: v.optional(v.string()), file: v.optional(v.string()) });
const most = 10_000;
const strings = v.pipe(v.array(v.string()), v.maxLength(most));
const texts = v.strictObject({ texts: v.optional(strings), files: v.optional(strings) });

/** What an input of each kind is given as, in words. */
const forms = {
  text: 'either text or file',
  texts: `texts or files, each a list of at most ${most} strings`,
  files: `a list of at most ${most} paths`,
  models: `a list of at most ${most} names or paths of models`,
  model: 'the name or the path of a model',
  words: 'a path',
} as const;

interface Places extends Pick<Surroundings, 'near' | 'models' | 'folders'> {
  /** Reads what somebody else wrote in a process of its own. */
  readonly engine: RecordReader;
}

/**
 * @param args an object with a value for each input that is given
 * @throws SinkscopeError `input` for what is no input or has another form; `file` for what may not be opened
 */
export async function readGiven(inputs: ExperimentInputs, args: unknown, places: Places): Promise<Given> {
  const checked = v.safeParse(v.record(v.string(), v.unknown()), args ?? {});
  if (!checked.success)
    throw new SinkscopeError({ code: 'input', message: 'Arguments are an object of values by name.' });
  const given: Record<string, unknown> = {};
  for (const [name, input] of Object.entries(inputs)) {
    if (input.kind === 'models' && input.default) given[name] = await bundledModels(places);
  }
  for (const [name, value] of Object.entries(checked.output)) {
    const input = Object.hasOwn(inputs, name) ? inputs[name] : undefined;
    if (!input) {
      const message = `There is no input ${quoted(name)}; inputs are ${Object.keys(inputs).join(', ')}.`;
      throw new SinkscopeError({ code: 'input', message });
    }
    if (value !== undefined && value !== null) given[name] = await valueFor(name, input, value, places);
  }
  return given;
}

async function valueFor(name: string, input: ExperimentInput, value: unknown, places: Places): Promise<unknown> {
  switch (input.kind) {
    case 'text': {
      // The text alone is meant as one.
      const given = typeof value === 'string' ? { text: value } : parsed(name, text, value, forms.text);
      if ((given.text === undefined) === (given.file === undefined)) throw wanted(name, forms.text);
      return given.file === undefined ? typed(given.text ?? '') : fileAt(given.file, places);
    }
    case 'texts': {
      const { texts: form } = forms;
      const given = Array.isArray(value)
        ? { texts: parsed(name, strings, value, form) }
        : parsed(name, texts, value, form);
      return corpusOf(name, given, places);
    }
    case 'files':
      return Promise.all(parsed(name, strings, value, forms.files).map((file) => within(file, places)));
    case 'models':
      return Promise.all(parsed(name, strings, value, forms.models).map((model) => modelAt(model, places)));
    case 'model':
      return modelAt(parsed(name, v.string(), value, forms.model), places);
    case 'words':
      return input.reads ? within(parsed(name, v.string(), value, forms.words), places) : value;
    default:
      return value;
  }
}

function parsed<T>(name: string, schema: v.GenericSchema<unknown, T>, value: unknown, form: string): T {
  const result = v.safeParse(schema, value);
  if (result.success) return result.output;
  throw wanted(name, form);
}

const wanted = (name: string, what: string) =>
  new SinkscopeError({ code: 'input', message: `The input ${quoted(name)} does not fit: it takes ${what}.` });

const within = async (file: string, { folders }: Places) => pathWithin(file, await folders());

const typed = (value: string): NamedText => ({ name: JSON.stringify(named(value.slice(0, 40))), text: value });

async function fileAt(path: string, places: Places): Promise<NamedText> {
  return { name: path, file: path, text: await readDocument(await resolved(path, places), places.engine) };
}

/** With the column of a file of records, where one is named. */
async function resolved(path: string, places: Places): Promise<string> {
  const records = recordsAt(path);
  if (!records) return within(path, places);
  const file = await within(records.file, places);
  return records.column === undefined ? file : `${file}#${records.column}`;
}

async function corpusOf(
  name: string,
  { texts: typedOnes = [], files = [] }: v.InferOutput<typeof texts>,
  places: Places,
): Promise<Corpus> {
  if (typedOnes.length + files.length === 0) throw wanted(name, forms.texts);
  const own = typedOnes.map((text, i): NamedText => ({ name: `text ${i + 1}`, text }));
  const paths = await Promise.all(files.map((file) => resolved(file, places)));
  async function* all() {
    yield* own;
    for (const path of paths) {
      // A folder may hold links to anywhere.
      for (const file of await textFilesAt(path)) yield* readTexts([await resolved(file, places)], places.engine);
    }
  }
  return { name: [...own.map(({ name }) => name), ...files].join(', '), texts: all() };
}

/** Each of them once: the form with a cache is the same model. */
const bundledModels = async ({ near }: Places) =>
  (await near()).filter(({ origin, file }) => origin === 'bundled' && isMain(file)).map(({ file }) => file);

/** A model by its name, or by a path where that may be opened. */
async function modelAt(model: string, places: Places): Promise<string> {
  const near = only(model, await places.near());
  if (near !== undefined) return near;
  try {
    return await within(model, places);
  } catch (error) {
    if (!SinkscopeError.is(error)) throw error;
    const known = await places.models();
    const found = only(model, known);
    if (found !== undefined) return found;
    const names = known.map(({ name }) => named(name)).slice(0, 20);
    const message = `${error.message} Known models are ${names.join(', ')}.`;
    throw new SinkscopeError({ ...error, message }, { cause: error });
  }
}

/** The model that is called so, or is this file. */
function only(model: string, known: readonly FoundModel[]): string | undefined {
  const found = known.filter(({ name, file }) => name === model || file === model);
  if (found.length < 2) return found[0]?.file;
  const files = found.map(({ file }) => file).join(', ');
  const message = `Several models are called ${quoted(model)}; give a path: ${files}.`;
  throw new SinkscopeError({ code: 'input', message });
}
