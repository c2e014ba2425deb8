/**
 * Plays VS Code and the extension's host in a report: tells the panel what the file holds, answers what was open when it
 * was made, and says of everything else that it is not in the report. Begins the panel, which lies packed in it.
 */
import type { Asked, FromWebview, Reply } from '../src/protocol.js';
import { unpack } from '../src/report/pack.js';
import { applyTheme } from './themes.js';

// In a copy that a browser has saved of its page, all that was drawn is there, dead; it is drawn anew.
for (const drawn of [...document.body.children]) if (!drawn.matches('script, noscript')) drawn.remove();

const contents = unpacked(bytesOf(document.getElementById('contents')?.textContent ?? ''));

const dark = matchMedia('(prefers-color-scheme: dark)');
const contrast = matchMedia('(prefers-contrast: more)');
const follow = () => applyTheme(`${contrast.matches ? 'hc-' : ''}${dark.matches ? 'dark' : 'light'}`);
for (const query of [dark, contrast]) query.addEventListener('change', follow);
follow();

/** Gone with the page. */
let state: unknown;

/** Pages as wide as the window, so that nothing is laid out anew on paper: what is drawn stays whole and in its place. */
const paper = new CSSStyleSheet();
document.adoptedStyleSheets.push(paper);

function whenPrinted(): void {
  addEventListener('beforeprint', () => {
    const width = document.documentElement.clientWidth;
    paper.replaceSync(`@page { size: ${width}px ${Math.round(width * Math.SQRT2)}px; margin: 0; }`);
    // Paper is white, whatever the screen is.
    applyTheme('light');
  });
  addEventListener('afterprint', follow);
}

Object.assign(globalThis, {
  acquireVsCodeApi: () => ({
    postMessage: (message: FromWebview) => take(message),
    getState: () => state,
    setState: (now: unknown) => {
      state = now;
    },
  }),
});

const panel = document.createElement('script');
panel.type = 'module';
// What this script may, and no other.
panel.nonce = document.querySelector<HTMLScriptElement>('script[nonce]')?.nonce ?? '';
panel.append(contents.panel);
document.body.append(panel);

function take(message: FromWebview): void {
  switch (message.type) {
    case 'ready':
      // It runs. A copy that a browser saves of its page begins its own.
      panel.remove();
      // The panel has been told first that it is printed (webview/frame.ts).
      whenPrinted();
      for (const one of contents.messages) tell(one);
      return;
    case 'query':
      tell({ type: 'answer', id: message.id, answer: replyTo(message.query) });
      return;
    case 'save-file':
      save(`${message.name}.${message.kind}`, message.bytes);
      return;
    case 'copy':
      navigator.clipboard
        .writeText(message.text)
        .catch(() => save('sinkscope.md', new TextEncoder().encode(message.text)));
      return;
  }
}

/** Messages and values go to the panel, which checks them as those of any host. */
function unpacked(bytes: Uint8Array) {
  const held = unpack(bytes);
  const part = (name: string): unknown =>
    typeof held === 'object' && held !== null ? Reflect.get(held, name) : undefined;
  const listOf = (name: string): readonly unknown[] => {
    const list = part(name);
    return Array.isArray(list) ? list : [];
  };
  return { messages: listOf('messages'), answers: listOf('answers'), panel: `${part('panel')}` };
}

function tell(message: unknown): void {
  // After whoever has asked is ready to hear it.
  queueMicrotask(() => dispatchEvent(new MessageEvent('message', { data: message })));
}

function replyTo(query: Extract<FromWebview, { type: 'query' }>['query']): Reply {
  const key = JSON.stringify(query);
  for (const answer of contents.answers) {
    if (typeof answer !== 'object' || answer === null || !('query' in answer) || !('value' in answer)) continue;
    if (JSON.stringify(answer.query) === key) return { ok: true, value: answer.value };
  }
  const message = `${names[query.type]} not in this report; it holds what was open when it was made.`;
  return { ok: false, problem: { code: 'input', message } };
}

/** What is asked for, in the beginning of a sentence. */
const names: { readonly [T in Asked['type']]: string } = {
  pattern: 'The pattern is',
  predictions: 'The tokens that are likely after this one are',
  magnitudes: 'The magnitudes are',
  picture: 'The picture is',
  weight: 'The weight is',
  saliency: 'What the prediction depends on is',
  surprisal: 'How surprising each token was is',
};

function save(name: string, bytes: Uint8Array): void {
  const link = document.createElement('a');
  link.href = URL.createObjectURL(new Blob([bytes.slice()]));
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}

function bytesOf(base64: string): Uint8Array {
  return Uint8Array.from(atob(base64.trim()), (letter) => letter.charCodeAt(0));
}
