/** A model hub for tests: the Hub's answers to what is asked here, from memory, on this machine. */
import { createHash } from 'node:crypto';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

export interface StandIn {
  readonly endpoint: string;
  /** What was asked for, in order: method, path and range. */
  readonly asked: readonly string[];
  /** Access tokens that came to where files lie in truth, which is another host. */
  readonly leaked: readonly string[];
  /** Files by path, which may be changed while it runs. */
  readonly files: Map<string, Uint8Array>;
  /** How it misbehaves. */
  readonly faults: Faults;
  close(): Promise<void>;
}

export interface Faults {
  /** Breaks the connection after so many bytes of a file, as often as there are entries; 0: before the first. */
  breakAfter: number[];
  /** Gives files whole, whatever part is asked for. */
  whole: boolean;
  /** Changes a byte of these files. */
  damaged: Set<string>;
  /** Answers everything with this, the Hub's word for it, and when to ask again. */
  refuses: { readonly status: number; readonly code?: string; readonly after?: string } | undefined;
  /** Paths that listings have beside those of the files. */
  listed: readonly string[];
}

export const commit = 'c0ffee'.padEnd(40, '0');
export const sha256 = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');
export const gitHash = (bytes: Uint8Array): string =>
  createHash('sha1').update(`blob ${bytes.length}\0`).update(bytes).digest('hex');

/** Begins to serve the repository `owner/name`; JSON files as git has them, others as large files. */
export async function startHub(files: Readonly<Record<string, Uint8Array>>): Promise<StandIn> {
  const held = new Map(Object.entries(files));
  const asked: string[] = [];
  const leaked: string[] = [];
  const faults: Faults = { breakAfter: [], whole: false, damaged: new Set(), refuses: undefined, listed: [] };

  const store = await listen((request, response) => {
    if (request.headers.authorization) leaked.push(request.headers.authorization);
    const path = decodeURIComponent((request.url ?? '').slice(1));
    give(request, response, path);
  });
  const give = (request: IncomingMessage, response: ServerResponse, path: string) => {
    const content = held.get(path) ?? Buffer.alloc(0);
    const bytes = faults.damaged.has(path) ? content.map((byte, i) => (i === 0 ? byte ^ 1 : byte)) : content;
    const [, from, to] = /^bytes=(\d+)-(\d*)$/.exec(request.headers.range ?? '') ?? [];
    const start = from === undefined || faults.whole ? 0 : Number(from);
    const end = to && !faults.whole ? Math.min(Number(to) + 1, bytes.length) : bytes.length;
    const isPart = from !== undefined && !faults.whole;
    response.writeHead(isPart ? 206 : 200, {
      'content-length': end - start,
      ...(isPart && { 'content-range': `bytes ${start}-${end - 1}/${bytes.length}` }),
    });
    const broken = faults.breakAfter.shift();
    if (broken === undefined) return void response.end(bytes.subarray(start, end));
    response.write(bytes.subarray(start, Math.min(start + broken, end)), () => response.destroy());
  };

  const hub = await listen((request, response) => {
    const url = new URL(request.url ?? '/', 'http://hub');
    asked.push([request.method, url.pathname, request.headers.range].filter(Boolean).join(' '));
    const { refuses } = faults;
    if (refuses) {
      const { status, code, after } = refuses;
      response.writeHead(status, { ...(code && { 'x-error-code': code }), ...(after && { 'retry-after': after }) });
      return void response.end();
    }
    const json = (value: unknown) => {
      response.writeHead(200, { 'content-type': 'application/json' });
      response.end(JSON.stringify(value));
    };
    if (url.pathname.startsWith('/api/models/owner/name/revision/'))
      return json({ _id: '1', id: 'owner/name', sha: commit, private: false, downloads: 0, likes: 0, gated: false });
    if (url.pathname === `/api/models/owner/name/tree/${commit}`) {
      const entries = [...held].map(([path, bytes]) => entryOf(path, bytes));
      const more = faults.listed.map((path) => entryOf(path, Buffer.alloc(1)));
      return json([{ type: 'directory', path: 'onnx', oid: commit, size: 0 }, ...entries, ...more]);
    }
    const [, path] = /^\/owner\/name\/resolve\/[0-9a-f]{40}\/(.+)$/.exec(decodeURIComponent(url.pathname)) ?? [];
    if (path === undefined || !held.has(path)) {
      response.writeHead(404, { 'x-error-code': path === undefined ? 'RepoNotFound' : 'EntryNotFound' });
      return void response.end();
    }
    if (isSmall(path)) return give(request, response, path);
    // Large files lie elsewhere.
    response.writeHead(302, { location: `${addressOf(store)}/${encodeURIComponent(path)}` });
    response.end();
  });
  return {
    endpoint: addressOf(hub),
    asked,
    leaked,
    files: held,
    faults,
    close: async () => {
      for (const server of [hub, store]) {
        server.closeAllConnections();
        await new Promise((resolve) => server.close(resolve));
      }
    },
  };
}

const isSmall = (path: string) => path.endsWith('.json');

function entryOf(path: string, bytes: Uint8Array) {
  const lfs = isSmall(path) ? {} : { lfs: { oid: sha256(bytes), size: bytes.length, pointerSize: 130 } };
  return { type: 'file', path, size: bytes.length, oid: gitHash(bytes), ...lfs };
}

async function listen(answer: (request: IncomingMessage, response: ServerResponse) => void): Promise<Server> {
  const server = createServer(answer);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return server;
}

const isPlace = (address: string | AddressInfo | null): address is AddressInfo =>
  typeof address === 'object' && address !== null;

function addressOf(server: Server): string {
  const address = server.address();
  if (!isPlace(address)) throw new Error('the server does not listen');
  return `http://127.0.0.1:${address.port}`;
}
