/** What to run and how far it is: model, BOS, scope, progress, stop, export. In the page's own tree, for its icon font. */
import { LitElement, nothing } from 'lit';
import { customElement, property } from 'lit/decorators.js';
import { keyed } from 'lit/directives/keyed.js';
import { formatNumber, formatSeconds } from '../../src/analysis/format.js';
import { markdownOf } from '../../src/analysis/markdown.js';
import { presentAnalysis } from '../../src/analysis/present.js';
import type { FromWebview } from '../../src/protocol.js';
import '../controls.js';
import { closeOnEscape, closeOnLeave } from '../figure.js';
import { Exact, html } from '../html.js';
import type { State } from '../store.js';

/** Where models were found, in words. */
const origins = { bundled: 'Bundled', settings: 'Settings', workspace: 'Workspace', machine: 'This machine' } as const;

const bosChoices = { auto: 'BOS: auto', on: 'BOS: on', off: 'BOS: off' } as const;

@customElement('sinkscope-toolbar')
export class Toolbar extends LitElement {
  @property({ attribute: false }) shown!: State;
  /** Nothing can be chosen or run. */
  @property({ type: Boolean }) report = false;

  protected override createRenderRoot() {
    return this;
  }

  override render() {
    const { view, analysis } = this.shown;
    const running = analysis.status === 'running';
    if (this.report)
      return html`<span class="scope" title=${scopeOf(this.shown)}>${scopeOf(this.shown)}</span>
        <span class="spring"></span>
        ${status(this.shown)} ${analysis.layers.length > 0 ? this.#copy() : nothing}`;
    return html`
      ${keyed(view.models.map(({ file }) => file).join('\n'), this.#models())}
      <vscode-dropdown
        aria-label="Beginning-of-sequence token"
        title="Whether a beginning-of-sequence token is put before the text; auto: as the model's tokenizer does it"
        data-testid="bos"
        .value=${view.bos}
        @change=${(event: Event) => {
          const bos = chosen(event, view.bos);
          if (bos === 'auto' || bos === 'on' || bos === 'off') this.#send({ type: 'choose-bos', bos });
        }}
      >
        ${Object.entries(bosChoices).map(
          ([bos, text]) => html`<vscode-option value=${bos} ?selected=${bos === view.bos}>${text}</vscode-option>`,
        )}
      </vscode-dropdown>
      ${this.#streams()}
      <span class="scope" title=${scopeOf(this.shown)}>${scopeOf(this.shown)}</span>
      <span class="spring"></span>
      ${status(this.shown)}
      ${
        running
          ? html`<vscode-button data-testid="stop" @click=${() => this.#send({ type: 'stop' })}>Stop</vscode-button>`
          : analysis.status === 'empty'
            ? nothing
            : html`<vscode-button
                appearance=${view.stale ? 'primary' : 'secondary'}
                data-testid="again"
                @click=${() => this.#send({ type: 'analyze-again' })}
              >Analyze again</vscode-button>`
      }
      ${analysis.status === 'finished' ? this.#pin() : nothing}
      ${analysis.layers.length > 0 && !running ? this.#exports() : nothing}
      <vscode-button
        appearance="icon"
        aria-label="Settings"
        title="Settings"
        data-testid="settings"
        @click=${() => this.#send({ type: 'open-settings' })}
      ><span class="codicon codicon-settings-gear"></span></vscode-button>
    `;
  }

  /** Made anew with every other list: the dropdown takes no value before it knows its options. */
  #models() {
    const { view } = this.shown;
    return html`<vscode-dropdown
  aria-label="Model"
  data-testid="model"
  .value=${new Exact(view.model ?? '')}
  @change=${(event: Event) => {
    const file = chosen(event, view.model);
    if (file !== undefined) this.#send({ type: 'choose-model', file });
  }}
>
  ${view.models.length === 0 ? html`<vscode-option value="">No model found</vscode-option>` : nothing}
  ${view.models.map(
    ({ file, name, origin }) =>
      html`<vscode-option value=${new Exact(file)} ?selected=${file === view.model}>${name} (${origins[origin]})</vscode-option>`,
  )}
</vscode-dropdown>`;
  }

  /** Of a model with several residual streams, the one that is shown: another is run at once. */
  #streams() {
    const { stream = '', streams = [] } = this.shown.analysis.started?.model ?? {};
    if (streams.length < 2) return nothing;
    return keyed(
      streams.join('\n'),
      html`<vscode-dropdown
  aria-label="Residual stream"
  title="Which of the model's residual streams is shown; what it is run on has to fit it"
  data-testid="stream"
  .value=${new Exact(stream)}
  @change=${(event: Event) => {
    const chosenStream = chosen(event, stream);
    if (chosenStream !== undefined) this.#send({ type: 'analyze-again', stream: chosenStream });
  }}
>
  ${streams.map((name) => html`<vscode-option value=${new Exact(name)} ?selected=${name === stream}>${name}</vscode-option>`)}
</vscode-dropdown>`,
    );
  }

  /** Of the run that is shown; of another, that is said with what moved. */
  #pin() {
    const isPinned = this.shown.view.pinned === 'shown';
    return html`<vscode-button
      appearance="icon"
      aria-label="Pin this run"
      aria-pressed=${isPinned}
      title=${isPinned ? 'Pinned: the next runs are held against this one' : 'Pin this run, to hold the next ones against it'}
      data-testid="pin"
      @click=${() => this.#send({ type: 'pin', on: !isPinned })}
    ><span class="codicon codicon-${isPinned ? 'pinned' : 'pin'}"></span></vscode-button>`;
  }

  #exports() {
    const item = (name: string, choose: () => void) => html`<li>
      <button
        @click=${(event: Event) => {
          if (event.target instanceof Element) event.target.closest('details')?.removeAttribute('open');
          choose();
        }}
      >${name}</button>
    </li>`;
    return html`<details
      class="menu"
      data-testid="export"
      @keydown=${closeOnEscape}
      @focusout=${closeOnLeave}
    >
      <summary>Export</summary>
      <ul>
        ${item('Result, to open anywhere …', () => this.#send({ type: 'save', what: 'json' }))}
        ${item('Tensors as safetensors …', () => this.#send({ type: 'save', what: 'safetensors' }))}
        ${item('Report as one HTML file …', () => this.#send({ type: 'save-report' }))}
        ${item('Copy as Markdown', () => this.#send({ type: 'copy', text: this.#markdown() }))}
      </ul>
    </details>`;
  }

  #copy() {
    return html`<vscode-button
      appearance="secondary"
      title="Sentence, conditions and tables, to the clipboard"
      data-testid="copy"
      @click=${() => this.#send({ type: 'copy', text: this.#markdown() })}
    >Copy as Markdown</vscode-button>`;
  }

  #markdown(): string {
    const { analysis, view } = this.shown;
    return markdownOf(presentAnalysis(analysis, view.thresholds, { name: view.document }));
  }

  #send(message: FromWebview): void {
    this.dispatchEvent(new CustomEvent('send', { detail: message, bubbles: true }));
  }
}

/** From so many seconds on it is said how long the rest will take. */
const worthSaying = 3;
/** From so many tokens on patterns, T × T for each head, are most of the work. */
const manyTokens = 1024;

/** How far the run is, as text that screen readers follow, and how long the rest will take where that is long. */
function status({ analysis, pace }: State) {
  const { started, layers, finished, tokens, attention } = analysis;
  if (started === undefined) return nothing;
  const done = `${Math.max(0, layers.length - 1)} of ${started.model.layers} layers`;
  if (finished) return line(`${done} · ${formatSeconds(finished.seconds)}`);
  const left = started.model.layers + 1 - layers.length;
  const seconds = pace === undefined ? 0 : Math.round(pace * left);
  if (analysis.status !== 'running' || seconds < worthSaying) return line(done);
  const isPatterns = attention.length > 0 && (tokens?.tokens.length ?? 0) >= manyTokens;
  const why = isPatterns
    ? 'Attention patterns are most of the work in a text of this length; the setting sinkscope.attention leaves them out.'
    : '';
  return line(`${done} · about ${formatNumber(seconds)} s left`, why);
}

const line = (text: string, title = '') =>
  html`<span class="status" role="status" title=${title === '' ? nothing : title} data-testid="status">${text}</span>`;

function scopeOf({ view, analysis }: State): string {
  const tokens = analysis.tokens?.tokens.length;
  const count = tokens === undefined ? undefined : tokens === 1 ? '1 token' : `${formatNumber(tokens)} tokens`;
  return [view.document, view.scope, count].filter((part) => part !== undefined).join(' · ');
}

/** What was chosen, where it is another than `before`: of a choice by click, the next key tells once more. */
function chosen({ target }: Event, before: string | undefined): string | undefined {
  const value = target instanceof HTMLElement && 'value' in target ? String(target.value) : undefined;
  return value === before ? undefined : value;
}
