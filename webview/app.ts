/** The whole webview: takes the store's state, hands it to the views, and turns what they say into messages. */
import { LitElement, nothing, type PropertyValues } from 'lit';
import { customElement, property, state } from 'lit/decorators.js';
import { conditions, madeBy } from '../src/analysis/conditions.js';
import { type Help, helpFor } from '../src/analysis/help.js';
import { presentMoved } from '../src/analysis/moved.js';
import type { Presentation } from '../src/analysis/presentation.js';
import type { Problem } from '../src/errors.js';
import type { FromWebview } from '../src/protocol.js';
import './experiments/experiments.js';
import type { GoToEvent, LeadEvent } from './experiments/presentation.js';
import type { PictureEvent, TableEvent } from './figure.js';
import { type Findings, findingsOf } from './findings.js';
import { inNextFrame } from './frame.js';
import { type Intent, readIntent } from './intent.js';
import { takePicture } from './picture.js';
import { StatusLine } from './status-line.js';
import type { State, Store, WebviewApi } from './store.js';
import { readTheme, type Theme, watchTheme } from './theme.js';
import type { Scene, SelectEvent } from './view.js';
import './views/attention-pattern.js';
import './views/dimension-ruler.js';
import './views/expert-heatmap.js';
import './views/layer-profile.js';
import './views/magnitudes.js';
import './views/massive-table.js';
import './views/moved.js';
import './views/outputs.js';
import './views/picture.js';
import './views/predictions.js';
import './views/residual-heatmap.js';
import './views/sink-heatmap.js';
import './views/summary.js';
import './views/token-strip.js';
import { html } from './html.js';
import './views/toolbar.js';

const helps: Readonly<Record<Help, string>> = {
  chooseTokenizer: 'Choose tokenizer.json …',
  chooseModel: 'Choose model …',
  analyzeIds: 'Enter token ids …',
  showLog: 'Show log',
};

@customElement('sinkscope-app')
export class App extends LitElement {
  @property({ attribute: false }) store!: Store;
  @property({ attribute: false }) host!: WebviewApi;
  /** The page of a report, or of a saved result: nothing can be run, and what is not in it cannot be asked for. */
  @property({ type: Boolean }) report = false;

  @state() private shown!: State;
  @state() private theme!: Theme;
  @state() private tables: ReadonlySet<string> = new Set();
  @state() private page: Intent['page'] = 'analysis';

  #findings!: Findings;
  #moved: Presentation | undefined;
  #intent!: Intent;
  /** What has been done and nothing else shows, for a while. */
  readonly #told = new StatusLine(this);
  #disposables: (() => void)[] = [];
  /** What is chosen beside experiments is for them, although the analysis is made again with it too. */
  #chosenForExperiments = false;
  /** A head was chosen whose pattern is not drawn yet. */
  #awaitsPattern = false;
  readonly #ask: Scene['ask'] = (query) => this.store.query(query);
  /** Takes over the store's state once per frame, however much has arrived: a run says more than a screen can show. */
  readonly #follow = () => {
    const before = this.shown;
    this.shown = this.store.state;
    this.#turnToNew(before);
  };

  /** In the page's own tree, so that the toolbar finds the icon font's classes. */
  protected override createRenderRoot() {
    return this;
  }

  override connectedCallback(): void {
    super.connectedCallback();
    this.shown = this.store.state;
    this.theme = readTheme();
    this.#intent = readIntent(this.host.getState(), document.body.dataset.page);
    this.tables = new Set(this.#intent.tables);
    this.page = this.#intent.page;
    const onScroll = () => this.#remember({ scroll: scrollY });
    addEventListener('scrollend', onScroll);
    this.#disposables = [
      () => removeEventListener('scrollend', onScroll),
      this.store.subscribe(() => inNextFrame(this.#follow)),
      watchTheme(() => {
        this.theme = readTheme();
      }),
    ];
  }

  override disconnectedCallback(): void {
    super.disconnectedCallback();
    for (const dispose of this.#disposables) dispose();
  }

  override willUpdate(changed: PropertyValues): void {
    const before: State | undefined = changed.get('shown');
    const { analysis, view, against } = this.shown;
    if (!changed.has('shown')) return;
    const isSame = before?.analysis === analysis && before.view.thresholds === view.thresholds;
    if (!isSame) this.#findings = findingsOf(analysis, view.thresholds);
    if (isSame && before.against === against) return;
    const isWhole = against !== undefined && analysis.status === 'finished';
    this.#moved = isWhole ? presentMoved(against.analysis, analysis, view.thresholds) : undefined;
  }

  override updated(changed: PropertyValues): void {
    const before: State | undefined = changed.get('shown');
    if (before?.connected === false && this.#intent.scroll > 0) scrollTo({ top: this.#intent.scroll });
  }

  override render() {
    const { connected, analysis } = this.shown;
    // Until then the page says by itself what is waited for.
    if (!connected) return nothing;
    const empty = analysis.layers.length === 0;
    return html`
      <div
        class="page"
        @select-part=${this.#onSelect}
        @send=${({ detail }: CustomEvent<FromWebview>) => this.#send(detail)}
        @table-toggled=${this.#onTable}
        @picture=${this.#onPicture}
      >
        <header>
          <h1>Sinkscope${this.shown.view.document === undefined ? '' : `: ${this.shown.view.document}`}</h1>
          <sinkscope-toolbar .shown=${this.shown} ?report=${this.report}></sinkscope-toolbar>
          ${this.#progress()} ${this.#pages()}
        </header>
        ${
          this.#page() === 'experiments'
            ? html`<main>
                <sinkscope-experiments
                  class="wide"
                  ?report=${this.report}
                  .shown=${this.shown.experiments}
                  .models=${this.shown.view.models}
                  .context=${this.shown.view.context}
                  .selection=${this.shown.selection}
                  .theme=${this.theme}
                  @layer=${this.#onLayer}
                  @lead=${this.#onLead}
                ></sinkscope-experiments>
              </main>`
            : html`<main>${this.#live()} ${this.#notices()} ${this.#held()} ${empty ? nothing : this.#views()}</main>`
        }
        ${this.#told.render()}
      </div>
    `;
  }

  /** A report shows what it has. */
  #page(): Intent['page'] {
    const { run, experiments } = this.shown;
    if (this.report && run === 0 && experiments.runs.length > 0) return 'experiments';
    return this.report && experiments.runs.length === 0 ? 'analysis' : this.page;
  }

  #pages() {
    const { run, experiments } = this.shown;
    if (this.report && (run === 0 || experiments.runs.length === 0)) return nothing;
    const names = { analysis: 'Analysis', experiments: 'Experiments' } as const;
    const pages = ['analysis', 'experiments'] as const;
    return html`<nav class="pages" aria-label="Pages">
      ${pages.map(
        (page) => html`<button
          aria-current=${page === this.#page() ? 'page' : nothing}
          data-testid="page-${page}"
          @click=${() => this.#turn(page)}
        >${names[page]}</button>`,
      )}
    </nav>`;
  }

  #views() {
    const scene = this.#scene();
    return html`
      <sinkscope-summary class="wide" .scene=${scene}></sinkscope-summary>
      ${scene.analysis.tokens?.picture ? html`<sinkscope-picture class="wide" .scene=${scene}></sinkscope-picture>` : nothing}
      <sinkscope-token-strip class="wide" .scene=${scene}></sinkscope-token-strip>
      <sinkscope-layer-profile .scene=${scene}></sinkscope-layer-profile>
      <sinkscope-massive-table .scene=${scene}></sinkscope-massive-table>
      <sinkscope-residual-heatmap class="wide" .scene=${scene}></sinkscope-residual-heatmap>
      <sinkscope-dimension-ruler class="wide" .scene=${scene}></sinkscope-dimension-ruler>
      ${scene.answers ? html`<sinkscope-magnitudes class="wide" .scene=${scene}></sinkscope-magnitudes>` : nothing}
      ${
        scene.analysis.routing.some((found) => found !== undefined)
          ? html`<sinkscope-expert-heatmap class="wide" .scene=${scene}></sinkscope-expert-heatmap>`
          : nothing
      }
      <div class="stack">
        <sinkscope-sink-heatmap .scene=${scene}></sinkscope-sink-heatmap>
        ${
          scene.analysis.outputs
            ? html`<sinkscope-outputs .scene=${scene}></sinkscope-outputs>`
            : html`<sinkscope-predictions .scene=${scene}></sinkscope-predictions>`
        }
      </div>
      <sinkscope-attention-pattern .scene=${scene} @drawn=${this.#onPattern}></sinkscope-attention-pattern>
    `;
  }

  #progress() {
    const { status, started, layers } = this.shown.analysis;
    const share = status === 'running' && started ? layers.length / (started.model.layers + 1) : 0;
    return html`<div class="progress" ?data-running=${status === 'running'}>
      <div .style=${`transform: scaleX(${share})`}></div>
    </div>`;
  }

  /** What is said above the views: at most one thing, the gravest. */
  #notices() {
    const { analysis, view } = this.shown;
    if (view.trouble && analysis.layers.length === 0) return this.#problem(view.trouble, '');
    if (analysis.status === 'empty') {
      return html`<div class="state wide">
        <h2>Nothing analysed yet</h2>
        <p>
          Select text in an editor (or nothing, for the whole document), right-click, and choose
          <b>Analyze Prompt</b> (<kbd>Ctrl+K Ctrl+Y</kbd>, on a Mac <kbd>⌘K ⌘Y</kbd>). For a vision model, right-click a picture in the
          Explorer and choose <b>Analyze Image</b>.
        </p>
        <vscode-button data-testid="sample" @click=${() => this.store.send({ type: 'try-sample' })}
          >Try the sample</vscode-button
        >
      </div>`;
    }
    if (view.trouble) return this.#problem(view.trouble, `Shown is still the run before, made by ${madeBy(analysis)}.`);
    if (analysis.status === 'failed') {
      const kept = analysis.layers.length;
      const shown = kept > 0 ? `Shown is what had arrived: layers 0 to ${kept - 1}.` : '';
      return this.#problem(analysis.problem ?? { code: 'internal', message: 'The run failed.' }, shown);
    }
    if (analysis.layers.length === 0) return html`<p class="state wide">Reading the model …</p>`;
    if (!view.stale) return nothing;
    const changed =
      view.stale === 'text'
        ? 'The text has changed since this run; what is shown is about the text as it was.'
        : `Another model or prefix token is chosen since this run; what is shown was made by ${madeBy(analysis)}.`;
    return html`<div class="notice wide" role="status"><span>${changed}</span></div>`;
  }

  /** Told here with all that can be done about it. */
  #problem(problem: Problem, shown: string) {
    const actions = helpFor(problem).map(
      (name) => html`<vscode-button
        appearance="secondary"
        data-testid="help-${name}"
        @click=${() => this.store.send({ type: 'help', name })}
      >${helps[name]}</vscode-button>`,
    );
    return html`<div class="notice wide ${problem.code === 'cancelled' ? '' : 'problem'}" role="alert">
      <span>${problem.message} ${shown}</span>${this.report ? nothing : actions}
    </div>`;
  }

  /** No status that is read out: it is another one after every key. */
  #live() {
    const { live } = this.shown.view;
    return live === undefined ? nothing : html`<p class="state wide" data-testid="live">${live}</p>`;
  }

  /** What the run is held against, and what moved. */
  #held() {
    const { view, against, selection } = this.shown;
    const isPinned = view.pinned !== 'none' || against?.pinned === true;
    if (view.watched === undefined && !isPinned) return nothing;
    return html`<sinkscope-moved
      class="wide"
      .watched=${view.watched}
      .pinned=${isPinned ? (against?.name ?? '') : undefined}
      .moved=${this.#moved}
      .selection=${selection}
      .theme=${this.theme}
    ></sinkscope-moved>`;
  }

  #scene(): Scene {
    const { analysis, run, selection, view } = this.shown;
    return {
      run,
      analysis,
      findings: this.#findings,
      thresholds: view.thresholds,
      tint: view.tint,
      selection,
      theme: this.theme,
      tables: this.tables,
      answers: !this.report || view.tensors !== undefined,
      ask: this.#ask,
    };
  }

  /** Whatever was begun is shown, wherever that was, and also when it is over before it can be. */
  #turnToNew({ connected, run }: State): void {
    if (!this.shown.connected) return;
    const newest = this.shown.experiments.runs[0]?.number ?? 0;
    const { seen = newest } = this.#intent;
    if (newest !== this.#intent.seen) this.#remember({ seen: newest });
    if (newest > seen) this.#turn('experiments');
    else if (connected && this.shown.run > run && !this.#chosenForExperiments) this.#turn('analysis');
  }

  #send(message: FromWebview): void {
    const isChoice = message.type === 'choose-model' || message.type === 'choose-bos';
    this.#chosenForExperiments = isChoice && this.page === 'experiments';
    this.store.send(message);
    // A report's page may have to save what it cannot copy.
    if (message.type === 'copy' && !this.report) this.#told.tell('Copied.');
  }

  #turn(page: Intent['page']): void {
    this.page = page;
    this.#remember({ page });
  }

  /** A head that is chosen here brings its pattern into sight, which may lie below: at once, and when it is drawn. */
  #onSelect({ detail }: SelectEvent): void {
    const { layer, head } = this.shown.selection;
    this.store.select(detail);
    this.#awaitsPattern = detail.head !== undefined && (detail.head !== head || detail.layer !== layer);
    if (detail.head !== undefined) this.#bringPattern();
  }

  #onPattern(): void {
    if (this.#awaitsPattern) this.#bringPattern();
    this.#awaitsPattern = false;
  }

  #bringPattern(): void {
    this.querySelector('sinkscope-attention-pattern')?.scrollIntoView({ block: 'nearest' });
  }

  #onTable({ detail: { name, open } }: TableEvent): void {
    const tables = new Set(this.tables);
    if (open) tables.add(name);
    else tables.delete(name);
    this.tables = tables;
    this.#remember({ tables: [...tables] });
  }

  /** A layer that an experiment is about: shown where the run is of the same model, and selected in any case. */
  #onLayer({ detail: { layer, model } }: GoToEvent): void {
    this.store.select({ layer });
    const { started, layers } = this.shown.analysis;
    if (started?.model.name === model && layer < layers.length) this.#turn('analysis');
  }

  /** A place that an experiment is about: its token only where the run is of the same model and as many tokens. */
  #onLead({ detail: { selection, tokens, model } }: LeadEvent): void {
    const { started, tokens: shown } = this.shown.analysis;
    const isSame = started?.model.name === model && shown?.tokens.length === tokens;
    const { token, ...rest } = selection;
    this.store.select(isSame ? selection : rest);
  }

  async #onPicture({ detail }: PictureEvent): Promise<void> {
    const { analysis, view } = this.shown;
    const made = conditions(analysis, view.thresholds).join(' · ');
    if (await takePicture(detail, made, (message) => this.store.send(message))) this.#told.tell('Picture copied.');
  }

  #remember(part: Partial<Intent>): void {
    this.#intent = { ...this.#intent, ...part };
    this.host.setState(this.#intent);
  }
}
