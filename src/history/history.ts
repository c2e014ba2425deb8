/**
 * Runs that stay, on disk: a folder with two files for each. The note is small and is all that lists need; the run is
 * everything that it is shown from again. Files appear whole or not at all, a run before its note and gone after it, so
 * that several windows can write at once, and what one of them takes away is missing to the others, never half there.
 */
import { randomBytes } from 'node:crypto';
import { readdir, readFile, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { deserialize, serialize } from 'node:v8';
import * as v from 'valibot';
import { runEvent, runRequest } from '../engine/contract/events.js';
import { grouped, SinkscopeError } from '../errors.js';
import { makeFolders, saveWhole } from '../saving.js';
import { flag, maybe, type Sent, text, whole } from '../schemas.js';

/** Changes with the form of what is stored, `RunEvent` included; what has another is no run, and makes room first. */
const version = 1;

/** What is kept at most, in one folder. Runs with a name stay until they are deleted, so they may take half of it. */
export const bounds = { runs: 100, bytes: 256 * 2 ** 20 } as const;

const storedRun = v.object({
  version: v.literal(version),
  /** Where the text is from; undefined where there was none. */
  source: maybe(
    v.object({ uri: v.string(), scope: v.picklist(['selection', 'document', 'cursor']), text: v.string() }),
  ),
  range: v.object({ start: v.number(), end: v.number() }),
  request: runRequest,
  /** The result's file that it was read from; undefined for one that was made here. */
  file: maybe(text),
  events: v.array(runEvent),
});
/** All that a run is shown from again. */
export type StoredRun = Omit<Sent<typeof storedRun>, 'version'>;

const facts = {
  /** What a person called it. */
  name: maybe(text),
  /** Of the document or the file. */
  document: maybe(text),
  /** How its text begins. */
  excerpt: text,
  model: v.object({
    name: text,
    /** Of the content: `Engine.identity`; undefined where it could not be told. */
    identity: maybe(text),
  }),
  /** Whether there was a prefix; undefined where tokens were given as they are. */
  bos: maybe(flag),
  tokens: whole,
  /** What came out, in words. */
  sentence: text,
  /** The same for runs of the same question: of them the last is kept, unless they have names. */
  question: text,
};

const note = v.object({
  version: v.literal(version),
  /** When it ended, in milliseconds since 1970. */
  at: v.number(),
  /** Of the run on disk. */
  bytes: whole,
  ...facts,
});
/** What lists say of a run. */
export type RunNote = Omit<Sent<typeof note>, 'version'> & { readonly id: string };
/** What is known of a run that is to be kept. */
export type NoteFacts = Omit<RunNote, 'id' | 'bytes' | 'at'>;

const isId = (id: string) => /^[0-9a-z]+-[0-9a-f]{12}$/.test(id);

/** What no window of this machine is still writing. */
const settled = 3_600_000;

export class History {
  private doing: Promise<unknown> = Promise.resolve();

  constructor(
    private readonly folder: string,
    private readonly most: { readonly runs: number; readonly bytes: number } = bounds,
  ) {}

  /** Newest first; none where nothing was ever kept. What cannot be read is no run. */
  async list(): Promise<readonly RunNote[]> {
    const notes = await Promise.all((await this.ids('.json')).map((id) => this.note(id)));
    return notes.filter((one) => one !== undefined).sort((a, b) => b.at - a.at || (a.id < b.id ? 1 : -1));
  }

  /**
   * Keeps a run, and takes away what there is no room for: the oldest without a name first, never what is in `needed`.
   *
   * @param needed ids of runs that are shown or pinned
   * @returns its id
   * @throws SinkscopeError `save`
   */
  add(run: StoredRun, about: NoteFacts, needed: readonly string[] = [], at = Date.now()): Promise<string> {
    return this.next(async () => {
      const id = `${at.toString(36)}-${randomBytes(6).toString('hex')}`;
      const bytes = serialize({ version, ...run });
      await makeFolders(this.folder);
      const same = (await this.list()).filter(
        (one) => one.question === about.question && one.name === undefined && !needed.includes(one.id),
      );
      await saveWhole(this.file(id, '.run'), bytes);
      await this.put({ id, at, bytes: bytes.length, ...about });
      for (const one of same) await this.take(one.id);
      await this.makeRoom([id, ...needed]);
      return id;
    });
  }

  /** @throws SinkscopeError `file` where it is no longer there, or damaged */
  async load(id: string): Promise<StoredRun> {
    try {
      const { version: _, ...run } = v.parse(storedRun, deserialize(await readFile(this.file(id, '.run'))));
      return run;
    } catch (error) {
      throw new SinkscopeError(
        { code: 'file', message: 'This run is no longer kept, or its file is damaged; analyze the text again.' },
        { cause: error },
      );
    }
  }

  /**
   * Gives a run a name, by which it stays, or takes it away.
   *
   * @throws SinkscopeError `input` where runs with names have taken half of the room; `file` where it is gone
   */
  rename(id: string, name: string | undefined): Promise<void> {
    return this.next(async () => {
      const notes = await this.list();
      const one = notes.find((other) => other.id === id);
      if (!one) throw new SinkscopeError({ code: 'file', message: 'This run is no longer kept.' });
      const named = notes.filter((other) => other.name !== undefined && other.id !== id);
      const bytes = named.reduce((sum, other) => sum + other.bytes, one.bytes);
      const isMuch = named.length >= this.most.runs / 2 || bytes > this.most.bytes / 2;
      if (name !== undefined && one.name === undefined && isMuch) {
        const message = `Runs with names take half of the room for history (${grouped(this.most.runs)} runs, ${grouped(this.most.bytes / 2 ** 20)} MB); delete one, or save this one as a file.`;
        throw new SinkscopeError({ code: 'input', message });
      }
      await this.put({ ...one, name });
    });
  }

  remove(id: string): Promise<void> {
    return this.next(() => this.take(id));
  }

  /** Deletes all of it, whatever it is. */
  clear(): Promise<void> {
    return this.next(() => rm(this.folder, { recursive: true, force: true }));
  }

  /** One after another, so that what one does is done when the next one looks. */
  private next<T>(action: () => Promise<T>): Promise<T> {
    const done = this.doing.then(action);
    this.doing = done.catch(() => undefined);
    return done;
  }

  private async note(id: string): Promise<RunNote | undefined> {
    try {
      const { version: _, ...found } = v.parse(note, JSON.parse(await readFile(this.file(id, '.json'), 'utf8')));
      return { id, ...found };
    } catch {
      return undefined;
    }
  }

  private async put({ id, ...about }: RunNote): Promise<void> {
    await saveWhole(this.file(id, '.json'), JSON.stringify({ version, ...about }));
  }

  private async take(id: string): Promise<void> {
    await rm(this.file(id, '.json'), { force: true });
    await rm(this.file(id, '.run'), { force: true });
  }

  private async makeRoom(needed: readonly string[]): Promise<void> {
    const notes = await this.list();
    const stays = ({ id, name }: RunNote) => name !== undefined || needed.includes(id);
    const [lasting, passing] = [notes.filter(stays), notes.filter((one) => !stays(one))];
    let runs = lasting.length;
    let bytes = lasting.reduce((sum, one) => sum + one.bytes, 0);
    for (const one of passing) {
      runs++;
      bytes += one.bytes;
      if (runs > this.most.runs || bytes > this.most.bytes) await this.take(one.id);
    }
    const known = new Set(notes.map(({ id }) => id));
    for (const id of new Set([...(await this.ids('.json')), ...(await this.ids('.run'))]))
      if (!known.has(id) && (await this.isSettled(id))) await this.take(id);
  }

  /** Whether what has no note, or one that cannot be read, is none that another window is about to write. */
  private async isSettled(id: string): Promise<boolean> {
    const times = await Promise.all(['.json', '.run'].map((kind) => stat(this.file(id, kind)).catch(() => undefined)));
    return times.every((one) => one === undefined || Date.now() - one.mtimeMs > settled);
  }

  private async ids(kind: string): Promise<string[]> {
    const names = await readdir(this.folder).catch(() => []);
    return names
      .filter((name) => name.endsWith(kind))
      .map((name) => name.slice(0, -kind.length))
      .filter(isId);
  }

  private file(id: string, kind: string): string {
    if (!isId(id)) throw new SinkscopeError({ code: 'input', message: 'There is no such run.' });
    return join(this.folder, `${id}${kind}`);
  }
}
