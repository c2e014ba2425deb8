/** The one file that speaks to the network: a model hub, when somebody asked for something of it. */
import { listFiles, modelInfo } from '@huggingface/hub';
import * as v from 'valibot';
import { grouped, SinkscopeError } from '../errors.js';
import { commitOf, type HubFile, type Listing, listedFile, type Repository } from './repository.js';

/** Where a hub is, and by what right it is asked. */
export interface Hub {
  /** Without a slash at its end. */
  readonly endpoint: string;
  /** Sent to the endpoint alone, never to where it leads on. */
  readonly token: string | undefined;
}

/** Files of a repository that are listed. */
const most = 50_000;
/** How long the Hub may take to begin an answer, in milliseconds. */
const patience = 60_000;

/**
 * The hub that is asked.
 *
 * @param environment `HF_ENDPOINT` and `HF_TOKEN` are read, as by Hugging Face's own tools
 * @param named the address of another one, which goes before; empty: none
 * @throws SinkscopeError `input` for what is no address, or where `HF_HUB_OFFLINE` says not to ask
 */
export function hubOf(environment: Readonly<Record<string, string | undefined>>, named = ''): Hub {
  const address = named || environment.HF_ENDPOINT || 'https://huggingface.co';
  const refuse = (message: string) => new SinkscopeError({ code: 'input', message });
  if (/^(1|true|yes|on)$/i.test(environment.HF_HUB_OFFLINE ?? '')) {
    throw refuse('HF_HUB_OFFLINE is set, so the Hub is not asked for anything; unset it to download models.');
  }
  if (!/^https?:\/\//.test(address) || !URL.canParse(address)) {
    throw refuse(`${address} is no address of a model hub; set HF_ENDPOINT or sinkscope.hubEndpoint to one.`);
  }
  return { endpoint: address.replace(/\/+$/, ''), token: environment.HF_TOKEN?.trim() || undefined };
}

/**
 * What a repository holds.
 *
 * @throws SinkscopeError `network` that says what to do; `cancelled` when `signal` is aborted
 */
export async function listRepository(hub: Hub, repository: Repository, signal: AbortSignal): Promise<Listing> {
  const { id, revision } = repository;
  const given = { hubUrl: hub.endpoint, fetch: fetchOf(hub, repository, signal) };
  try {
    const { sha } = await modelInfo({ ...given, name: id, revision, additionalFields: ['sha'] });
    const commit = v.safeParse(commitOf, sha);
    if (!commit.success) throw unreadable(hub, id);
    const files: HubFile[] = [];
    let refused = 0;
    const repo = { type: 'model', name: id } as const;
    for await (const entry of listFiles({ ...given, repo, revision: commit.output, recursive: true })) {
      const file = listedFile(entry);
      if (file === 'refused') refused++;
      else if (file) files.push(file);
      if (files.length > most) throw network(`${id} has more than ${grouped(most)} files; open one that has fewer.`);
    }
    return { repository, commit: commit.output, files, refused };
  } catch (error) {
    if (SinkscopeError.is(error)) throw error;
    throw unreadable(hub, id, error);
  }
}

/**
 * The bytes of a file from `start` on, to before `end` where that is named; what the server gives, which may be all.
 *
 * @throws SinkscopeError as {@link listRepository}
 */
export async function openFile(
  hub: Hub,
  { repository, commit }: Listing,
  path: string,
  { start, end, signal }: { readonly start: number; readonly end?: number; readonly signal: AbortSignal },
): Promise<Response> {
  const place = path.split('/').map(encodeURIComponent).join('/');
  // Packed bytes have other places.
  const headers = new Headers({ 'accept-encoding': 'identity' });
  if (start > 0 || end !== undefined) headers.set('range', `bytes=${start}-${end === undefined ? '' : end - 1}`);
  return fetchOf(hub, repository, signal)(`${hub.endpoint}/${repository.id}/resolve/${commit}/${place}`, { headers });
}

/** `fetch`, for the Hub alone, with what goes wrong as a problem. */
function fetchOf(hub: Hub, repository: Repository, signal: AbortSignal): typeof fetch {
  return async (input, init) => {
    const url = String(input);
    // A listing says itself where it goes on.
    if (!url.startsWith(`${hub.endpoint}/`))
      throw network(`${hub.endpoint} leads on to ${url}, which is not asked for anything; check its address.`);
    const headers = new Headers(init?.headers);
    if (hub.token !== undefined) headers.set('authorization', `Bearer ${hub.token}`);
    const waiting = new AbortController();
    const late = setTimeout(() => waiting.abort(), patience);
    let response: Response;
    try {
      response = await fetch(url, { ...init, headers, signal: AbortSignal.any([signal, waiting.signal]) });
    } catch (error) {
      throw signal.aborted
        ? stopped()
        : unreachable(hub, waiting.signal.aborted ? 'it does not answer' : why(error), error);
    } finally {
      clearTimeout(late);
    }
    if (response.ok) return response;
    await response.body?.cancel();
    throw refusal(hub, repository, response);
  };
}

export const stopped = () =>
  new SinkscopeError({
    code: 'cancelled',
    message: 'The download was stopped; what has arrived is kept, and the next one goes on from there.',
  });

export const network = (message: string, cause?: unknown) =>
  new SinkscopeError({ code: 'network', message }, { cause });

function unreachable({ endpoint }: Hub, cause: string, error: unknown): SinkscopeError {
  return network(
    `${endpoint} cannot be reached: ${cause}. Check the connection and the proxy, or the address (HF_ENDPOINT, sinkscope.hubEndpoint).`,
    error,
  );
}

function unreadable({ endpoint }: Hub, id: string, error?: unknown): SinkscopeError {
  return network(
    `${endpoint} gave an answer about ${id} that cannot be read; check that this is the address of a model hub (HF_ENDPOINT, sinkscope.hubEndpoint).`,
    error,
  );
}

/** The cause of what `fetch` throws, which says nothing itself. */
export function why(error: unknown): string {
  const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error;
  if (!(cause instanceof Error)) return String(cause);
  const code = 'code' in cause && typeof cause.code === 'string' ? cause.code : undefined;
  return (code && reasons[code]) ?? (cause.message || code || cause.name);
}

const reasons: Readonly<Record<string, string>> = {
  ENOTFOUND: 'no machine has this name',
  EAI_AGAIN: 'its name cannot be looked up now',
  ECONNREFUSED: 'it takes no connections',
  ECONNRESET: 'it broke the connection',
  UND_ERR_SOCKET: 'it broke the connection',
  ETIMEDOUT: 'it does not answer',
  UND_ERR_CONNECT_TIMEOUT: 'it does not answer',
};

/** What an answer means that gives nothing, and what to do. */
function refusal({ endpoint, token }: Hub, { id, revision }: Repository, response: Response): SinkscopeError {
  const { status } = response;
  const said = response.headers.get('x-error-code');
  const page = `${endpoint}/${id}`;
  if (said === 'GatedRepo') {
    return network(
      token === undefined
        ? `${id} is given to those alone who accept its conditions: accept them on ${page}, and set HF_TOKEN to your access token.`
        : `${id} is given to those alone who accept its conditions, and the account of HF_TOKEN did not: accept them on ${page}.`,
    );
  }
  if (said === 'RevisionNotFound') {
    return network(`${id} has no revision ${revision}; leave it out, or choose one of those on ${page}.`);
  }
  if (said === 'EntryNotFound') return network(`${id} does not have this file any more; list its files again.`);
  if (status === 404 || (status === 401 && (said === 'RepoNotFound' || token === undefined))) {
    return network(
      `There is no model ${id} on ${endpoint}, or it is private: check the name${token === undefined ? ', or set HF_TOKEN to the access token of an account that may read it' : ' and the rights of HF_TOKEN'}.`,
    );
  }
  if (status === 401 || status === 403) {
    return network(`${endpoint} refuses the access token in HF_TOKEN (${status}); make a new one, or unset it.`);
  }
  if (status === 429) {
    const seconds = Number(response.headers.get('retry-after'));
    const then = seconds > 0 ? `${grouped(Math.ceil(seconds))} seconds` : 'a few minutes';
    return network(`${endpoint} asks for a pause (429); try again in ${then}.`);
  }
  if (status >= 500) return network(`${endpoint} has a fault of its own (${status}); try again later.`);
  return network(`${endpoint} refuses what was asked for of ${id} (${status}); look at ${page}.`);
}
