/** Repositories of a model hub: how people name them, and what they hold. Pure. */
import * as v from 'valibot';
import { SinkscopeError } from '../errors.js';
import { quoted } from '../visible.js';

export interface Repository {
  /** `owner/name`. */
  readonly id: string;
  /** A branch, a tag, or a commit. */
  readonly revision: string;
  /** The file that was named as well. */
  readonly file?: string | undefined;
}

/** A file of a repository, at one commit. */
export interface HubFile {
  /** With `/` between folders; see {@link isSafePath}. */
  readonly path: string;
  readonly size: number;
  /** What the Hub says of its content: SHA-256 of large files, of others what git calls them. Its name in the cache. */
  readonly checksum: { readonly kind: 'sha256' | 'git'; readonly hex: string };
}

/** What a repository holds at one commit. */
export interface Listing {
  readonly repository: Repository;
  readonly commit: string;
  readonly files: readonly HubFile[];
  /** Files that are left out, since their names could lead out of a folder. */
  readonly refused: number;
}

/** An `.onnx` file with all that comes with it. */
export interface HubModel {
  readonly path: string;
  /** As the file's name says it, in the exporters' words; undefined where it says nothing. */
  readonly precision: string | undefined;
  /** Itself first, then its weights, its tokenizer and its configuration. */
  readonly files: readonly HubFile[];
  readonly bytes: number;
}

const idPattern = /^[\w-][\w.-]{0,95}\/[\w-][\w.-]{0,95}$/;
const revisionPattern = /^[\w-][\w.-]*(\/[\w-][\w.-]*)*$/;
/** The Hub's own names, whatever mirror is asked. */
const hosts = new Set(['huggingface.co', 'www.huggingface.co', 'hf.co']);

/**
 * The repository that somebody named: `owner/name`, `owner/name@revision`, or the address of its page or of one of its
 * files.
 *
 * @param endpoint address of the hub
 * @throws SinkscopeError `input` for anything else
 */
export function repositoryOf(words: string, endpoint: string): Repository {
  const refuse = (why: string) =>
    new SinkscopeError({
      code: 'input',
      message: `${quoted(words)} ${why}; give owner/name, as in onnx-community/gpt2-ONNX, or the address of its page.`,
    });
  const typed = words.trim();
  const isAddress = /^https?:\/\//.test(typed) || /^(www\.)?(huggingface\.co|hf\.co)\//.test(typed);
  const found = isAddress ? ofAddress(typed, endpoint, refuse) : ofName(typed);
  if (!idPattern.test(found.id) || /--|\.\./.test(found.id)) throw refuse('is no name of a model repository');
  if (!revisionPattern.test(found.revision) || found.revision.includes('..')) throw refuse('names no revision');
  if (found.file !== undefined && !isSafePath(found.file)) throw refuse('names a file that leads out of its folder');
  return found;
}

function ofName(typed: string): Repository {
  const [, id = '', revision = 'main'] = /^([^@]*)(?:@(.*))?$/.exec(typed) ?? [];
  return { id, revision };
}

function ofAddress(typed: string, endpoint: string, refuse: (why: string) => SinkscopeError): Repository {
  const address = typed.startsWith('http') ? typed : `https://${typed}`;
  if (!URL.canParse(address)) throw refuse('is no address');
  const { host, pathname } = new URL(address);
  const base = new URL(endpoint);
  if (host !== base.host && !hosts.has(host)) throw refuse(`is not on ${base.host}`);
  let parts: string[];
  try {
    const prefix = host === base.host ? base.pathname.replace(/\/$/, '') : '';
    const path = pathname.startsWith(prefix) ? pathname.slice(prefix.length) : pathname;
    parts = path
      .split('/')
      .filter((part) => part !== '')
      .map(decodeURIComponent);
  } catch {
    throw refuse('is no address');
  }
  if (parts[0] === 'models' && parts.length > 2) parts.shift();
  const [owner = '', name = '', view, revision = 'main', ...rest] = parts;
  if (owner === 'datasets' || owner === 'spaces') throw refuse('is no model repository');
  const isFile = view === 'blob' || view === 'resolve' || view === 'raw';
  const file = isFile && rest.length > 0 ? rest.join('/') : undefined;
  return { id: `${owner}/${name}`, revision, ...(file !== undefined && { file }) };
}

/** Characters that some system takes for more than themselves. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: those are what is refused
const meaning = /[\\:*?"<>|\u0000-\u001f\u007f]/;

/** Whether a path that a stranger wrote stays inside the folder that it is put into, on every system. */
export function isSafePath(path: string): boolean {
  const parts = path.split('/');
  const isSafe = (part: string) => part !== '' && part.length <= 255 && !/^\.+$/.test(part) && !/[. ]$/.test(part);
  return path.length <= 1000 && !meaning.test(path) && parts.every(isSafe);
}

const sha256 = v.pipe(v.string(), v.regex(/^[0-9a-f]{64}$/));
const git = v.pipe(v.string(), v.regex(/^[0-9a-f]{40}$/));
const size = v.pipe(v.number(), v.integer(), v.minValue(0));

/** What the Hub says of a file; of folders and anything else nothing is read. */
const entry = v.object({
  type: v.literal('file'),
  path: v.string(),
  size,
  oid: git,
  lfs: v.optional(v.object({ oid: sha256, size })),
});

/** A commit, by which all else is asked for: a branch may move meanwhile. */
export const commitOf = git;

/** The file that an entry of a listing is; `refused` for one whose name leads out of a folder, undefined for no file. */
export function listedFile(value: unknown): HubFile | 'refused' | undefined {
  const parsed = v.safeParse(entry, value);
  if (!parsed.success) return undefined;
  const { path, size, oid, lfs } = parsed.output;
  if (!isSafePath(path)) return 'refused';
  return lfs
    ? { path, size: lfs.size, checksum: { kind: 'sha256', hex: lfs.oid } }
    : { path, size, checksum: { kind: 'git', hex: oid } };
}

const folderOf = (path: string) => path.slice(0, path.lastIndexOf('/') + 1);
const nameOf = (path: string) => path.slice(path.lastIndexOf('/') + 1);

/**
 * The `.onnx` files of a repository, by path, each with what comes with it.
 *
 * @param beside names of the files that tell about a model, as `config.json`
 */
export function modelsOf({ files }: Listing, beside: readonly string[]): HubModel[] {
  const models = files.filter(({ path }) => /\.onnx$/i.test(path));
  return models
    .toSorted((a, b) => a.path.localeCompare(b.path, 'en'))
    .map((model) => {
      const all = [model, ...files.filter((file) => belongs(file.path, model.path, beside))];
      return {
        path: model.path,
        precision: precisionIn(nameOf(model.path)),
        files: all,
        bytes: all.reduce((sum, one) => sum + one.size, 0),
      };
    });
}

/** Whether a file is of a model's weights, by the conventions of exporters, or tells about it. */
function belongs(path: string, model: string, beside: readonly string[]): boolean {
  const [folder, own] = [folderOf(path), folderOf(model)];
  const [name, stem] = [nameOf(path), nameOf(model)];
  if (folder === own && (name.startsWith(`${stem}_data`) || name.startsWith(`${stem}.data`))) return true;
  // As `modelFolder` finds them: beside the model, or one level up where that is in `onnx`.
  const up = /^(.*\/)?onnx\/$/i.exec(own);
  return beside.includes(name) && (folder === own || (up !== null && folder === (up[1] ?? '')));
}

const precisions: readonly (readonly [pattern: RegExp, words: string])[] = [
  [/q4f16/, '4-bit weights, fp16'],
  [/bnb4|nf4/, '4-bit weights (NF4)'],
  [/q4|int4|4bit/, '4-bit weights'],
  [/uint8|_qu8/, 'uint8'],
  [/int8|q8|quantized|quant|8bit/, '8 bits'],
  [/bf16|bfloat16/, 'bf16'],
  [/fp16|float16|f16|half/, 'fp16'],
  [/fp32|float32|f32/, 'fp32'],
];

function precisionIn(name: string): string | undefined {
  return precisions.find(([pattern]) => pattern.test(name.toLowerCase()))?.[1];
}
