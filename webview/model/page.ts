/** The editor of a model's file: what it is, what it is made of, and a text tried in it. */
import { LitElement, nothing } from 'lit';
import { customElement, property, state } from 'lit/decorators.js';
import { conditions } from '../../src/analysis/conditions.js';
import { counted, formatNumber, formatRatio, formatValue } from '../../src/analysis/format.js';
import type { Description } from '../../src/engine/contract/description.js';
import type { AboutFile, FromWebview, ModelAction, ModelState } from '../../src/protocol.js';
import type { PictureEvent, TableEvent } from '../figure.js';
import { inNextFrame } from '../frame.js';
import { Exact, html } from '../html.js';
import '../legend.js';
import { takePicture } from '../picture.js';
import { multipleScale } from '../scale.js';
import { StatusLine } from '../status-line.js';
import type { State, Store } from '../store.js';
import { readTheme, type Theme, watchTheme } from '../theme.js';
import './blocks.js';
import { type ChosenEvent, multiplesOf } from './blocks.js';
import { blocksSvg } from './blocks-svg.js';
import { type Differences, differencesOf, differencesTable } from './differences.js';
import { type DrawnFact, drawingOf, fileInWords, formatBytes, type ModelDrawing } from './drawing.js';
import { anatomyTable, factList, layerFacts } from './facts.js';
import './weights.js';

interface DrawnPicture {
  readonly description: Description;
  readonly drawing: ModelDrawing;
}

@customElement('sinkscope-model')
export class ModelPage extends LitElement {
  @property({ attribute: false }) store!: Store;

  @state() private shown!: State;
  @state() private theme!: Theme;
  /** k of the h_k that is looked at. */
  @state() private layer: number | undefined;
  @state() private text = 'Summer is warm. Winter is cold.';
  /** Names of the figures whose tables are open. */
  @state() private tables: ReadonlySet<string> = new Set();

  readonly #told = new StatusLine(this);
  #drawn: DrawnPicture | undefined;
  /** The selected layer that was followed last: one that is chosen here is selected a moment later. */
  #followed: number | undefined;
  #other: DrawnPicture | undefined;
  #differences: Differences | undefined;
  #disposables: (() => void)[] = [];
  readonly #follow = () => {
    this.shown = this.store.state;
  };

  protected override createRenderRoot() {
    return this;
  }

  override connectedCallback(): void {
    super.connectedCallback();
    this.shown = this.store.state;
    this.theme = readTheme();
    this.#disposables = [
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

  override willUpdate(): void {
    const { model, selection } = this.shown;
    const before = [this.#drawn, this.#other];
    this.#drawn = drawnOf(model?.shown.about, this.#drawn);
    this.#other = drawnOf(model?.other?.about, this.#other);
    if (before[0] !== this.#drawn || before[1] !== this.#other)
      this.#differences = this.#drawn && this.#other && differencesOf(this.#drawn, this.#other);
    if (this.#isRun() && selection.layer !== this.#followed) {
      this.#followed = selection.layer;
      this.layer = selection.layer;
    }
    const last = this.#drawn?.drawing.blocks.length ?? 0;
    if (this.layer !== undefined && this.layer > last) this.layer = undefined;
  }

  override render() {
    const { model } = this.shown;
    // Until then the page says by itself what is waited for.
    if (!model) return nothing;
    return html`<div
      class="page"
      @table-toggled=${this.#onTable}
      @send=${({ detail }: CustomEvent<FromWebview>) => this.store.send(detail)}
      @picture=${this.#onPicture}
    >
      <header><h1>Sinkscope: ${model.shown.name}</h1>${this.#bar(model)}</header>
      <main>${this.#body(model)}</main>
      ${this.#told.render()}
    </div>`;
  }

  #bar(model: ModelState) {
    const inspection = this.#inspection();
    const streams = inspection?.streams ?? [];
    return html`<div class="model-bar">
      <strong>${model.shown.name}</strong>
      ${
        streams.length > 1
          ? html`<select
              aria-label="Residual stream"
              data-testid="stream"
              @change=${(event: Event) => {
                if (event.target instanceof HTMLSelectElement) this.#act({ do: 'stream', stream: event.target.value });
              }}
            >${streams.map(({ name }) => html`<option value=${new Exact(name)} ?selected=${name === inspection?.model.stream}>stream: ${name}</option>`)}</select>`
          : nothing
      }
      ${
        this.#drawn
          ? html`<button data-testid="compare" @click=${() => this.#act({ do: 'compare' })}>Compare with …</button>`
          : nothing
      }
      ${
        inspection
          ? html`<button data-testid="choose" @click=${() => this.#act({ do: 'choose' })}>Use for texts</button>`
          : nothing
      }
    </div>`;
  }

  #body({ shown, other }: ModelState) {
    const { about } = shown;
    switch (about.status) {
      case 'untrusted':
        return html`<div class="notice wide" role="status">
          <span>This window trusts no folder, so nothing of this file was read. Models are files that strangers make.</span>
          <button data-testid="trust" @click=${() => this.#act({ do: 'trust' })}>Manage trust …</button>
        </div>`;
      case 'reading':
        return html`<p class="state wide" role="status">Reading the structure of the file; weights stay where they are …</p>`;
      case 'failed':
        return html`<div class="notice problem wide" role="alert">
          <span>${about.problem.message}</span>
          <button data-testid="again" @click=${() => this.#act({ do: 'read-again' })}>Read it again</button>
        </div>`;
      case 'read':
        return this.#drawn ? this.#file(this.#drawn, other) : nothing;
    }
  }

  #file(drawn: DrawnPicture, other: ModelState['other']) {
    const { drawing, description } = drawn;
    const { anatomy } = description;
    const chosen = this.layer === undefined || !anatomy.found ? undefined : this.layer;
    return html`
      ${
        anatomy.found
          ? this.#try(description)
          : html`<div class="notice wide" role="status"><span>${anatomy.problem.message} What the file is as a graph is shown all the same.</span></div>`
      }
      <section class="wide" aria-labelledby="what"><h2 id="what">What it is</h2>${factList(drawing.facts)}</section>
      ${other ? this.#compared(other) : nothing}
      ${anatomy.found ? this.#anatomy(drawn, other) : nothing}
      <div class="stack ${anatomy.found && !other ? '' : 'wide'}">
        ${chosen === undefined ? nothing : this.#layer(drawn, chosen)}
        ${this.#list('Inputs', drawing.inputs)} ${this.#list('Outputs', drawing.outputs)}
        ${this.#list('Not found', drawing.missing)}
        ${this.#list(
          'To be known',
          drawing.remarks.map((value, at) => ({ name: `${at + 1}`, value })),
        )}
        ${
          anatomy.found
            ? nothing
            : this.#list(
                'Operators',
                description.operators.map(([name, count]) => ({ name, value: formatNumber(count) })),
              )
        }
        ${this.#list(
          'Files',
          description.files.map(({ file, bytes }) => ({ name: formatBytes(bytes), value: file })),
        )}
        <sinkscope-weights
          .store=${this.store}
          .description=${description}
          .block=${chosen}
          @all=${() => this.#choose(undefined)}
        ></sinkscope-weights>
      </div>
    `;
  }

  #try({ tokenizer }: Description) {
    const running = this.#isRun() && this.shown.analysis.status === 'running';
    return html`<form
      class="try wide"
      @submit=${(event: Event) => {
        event.preventDefault();
        if (this.text !== '') this.#act({ do: 'try', text: this.text, stream: this.#inspection()?.model.stream });
      }}
    >
      <label>Try a text
        <input
          type="text"
          data-testid="text"
          .value=${new Exact(this.text)}
          ?disabled=${tokenizer === undefined}
          @input=${(event: Event) => {
            if (event.target instanceof HTMLInputElement) this.text = event.target.value;
          }}
        />
      </label>
      ${
        running
          ? html`<button type="button" data-testid="stop" @click=${() => this.store.send({ type: 'stop' })}>Stop</button>`
          : html`<button class="primary" data-testid="run" ?disabled=${tokenizer === undefined}>Run</button>`
      }
      <p role="status">${this.#progress(tokenizer)}</p>
    </form>`;
  }

  #progress(tokenizer: string | undefined) {
    if (tokenizer === undefined) {
      return html`It has no tokenizer.json beside it: put the model’s own there to try texts, or choose it.
        <button type="button" data-testid="tokenizer" @click=${() => this.#act({ do: 'choose-tokenizer' })}>Choose tokenizer.json …</button>`;
    }
    if (this.shown.view.trouble) return this.shown.view.trouble.message;
    if (!this.#isRun())
      return 'Each layer is coloured by its largest activation while the model runs; nothing leaves this machine.';
    const { status, layers, tokens, problem } = this.shown.analysis;
    if (status === 'failed') return problem?.message ?? 'The run failed.';
    const of = counted(tokens?.tokens.length ?? 0, 'token');
    if (status === 'running')
      return layers.length === 0 ? 'Reading the model …' : `Layer ${layers.length - 1} has arrived; ${of}.`;
    const multiples = multiplesOf(layers);
    const most = multiples.reduce((best, one, at) => (one > (multiples[best] ?? 0) ? at : best), 0);
    return html`${of}; most at h_${most}, ${formatRatio(multiples[most] ?? 0)} the median.
      <button type="button" data-testid="panel" @click=${() => this.#act({ do: 'show-panel' })}>Show all of it</button>`;
  }

  #anatomy({ drawing }: DrawnPicture, other: ModelState['other']) {
    const multiples = this.#isRun() ? multiplesOf(this.shown.analysis.layers) : [];
    const { thresholds } = this.shown.view;
    const choose = ({ detail }: ChosenEvent) => this.#choose(detail ?? undefined);
    const beside = other && this.#other?.drawing.blocks.length ? this.#other : undefined;
    const differing = (beside && this.#differences?.blocks) ?? new Set<number>();
    const name = this.shown.model?.shown.name ?? '';
    const note = `${counted(drawing.blocks.length, 'block')}, from the input at the top to the output`;
    const files = [
      { name, drawing, multiples },
      ...(beside && other ? [{ name: other.name, drawing: beside.drawing, multiples: [] }] : []),
    ];
    return html`<sinkscope-figure
      name="anatomy"
      class=${other ? 'wide' : ''}
      heading="Anatomy"
      note=${note}
      .table=${() => anatomyTable(drawing, multiples)}
      .picture=${(theme: Theme) => blocksSvg(files, { differing, thresholds }, theme)}
      ?open=${this.tables.has('anatomy')}
    >
      <div class="columns ${beside ? 'two' : ''}">
        <sinkscope-blocks
          data-testid="blocks"
          .drawing=${drawing}
          .multiples=${multiples}
          .thresholds=${thresholds}
          .theme=${this.theme}
          .selected=${this.layer}
          .differing=${differing}
          called=${name}
          @chosen=${choose}
        ></sinkscope-blocks>
        ${
          beside
            ? html`<sinkscope-blocks
                .drawing=${beside.drawing}
                .thresholds=${thresholds}
                .theme=${this.theme}
                .selected=${this.layer}
                .differing=${differing}
                called=${other?.name ?? ''}
                @chosen=${choose}
              ></sinkscope-blocks>`
            : nothing
        }
      </div>
      ${
        multiples.length > 0
          ? html`<p class="state legend">
              <sinkscope-legend .scale=${multipleScale(thresholds)} .theme=${this.theme}></sinkscope-legend>
              <span>${colouredBy}</span>
            </p>`
          : nothing
      }
    </sinkscope-figure>`;
  }

  #compared(other: NonNullable<ModelState['other']>) {
    const { about, name } = other;
    const end = html`<button data-testid="compare-end" @click=${() => this.#act({ do: 'compare-end' })}>End comparison</button>`;
    if (about.status !== 'read') {
      const said =
        about.status === 'failed'
          ? about.problem.message
          : about.status === 'reading'
            ? `Reading ${name} …`
            : 'Nothing was read.';
      return html`<div class="notice wide" role=${about.status === 'failed' ? 'alert' : 'status'}><span>${said}</span>${end}</div>`;
    }
    const rows = this.#differences?.rows ?? [];
    const table = () => differencesTable(rows, name);
    return html`<div class="wide" data-testid="differences">
      <div class="notice" role="status"><span>Compared with ${name}: ${rows.length === 0 ? 'nothing that is described differs' : `${counted(rows.length, 'thing')} ${rows.length === 1 ? 'differs' : 'differ'}`}. Weights are compared by type and shape, not by their numbers.</span>${end}</div>
      ${rows.length === 0 ? nothing : html`<sinkscope-figure name="differences" heading="What differs" .rows=${table}><sinkscope-table .data=${table()}></sinkscope-table></sinkscope-figure>`}
    </div>`;
  }

  /** What is known of the h_k and the block that are looked at. */
  #layer({ drawing }: DrawnPicture, layer: number) {
    const top = this.#isRun() ? this.shown.analysis.layers[layer]?.top[0] : undefined;
    const largest = top
      ? [{ name: 'largest activation', value: `${formatValue(top.value)} at token ${top.token}, dimension ${top.dim}` }]
      : [];
    return html`<section aria-labelledby="layer" data-testid="layer">
      <h2 id="layer">${layer === 0 ? 'Embedding' : `Block ${layer}`}</h2>
      ${factList([...layerFacts(drawing, this.#inspection(), layer), ...largest], true)}
    </section>`;
  }

  #list(heading: string, rows: readonly DrawnFact[]) {
    if (rows.length === 0) return nothing;
    return html`<section aria-label=${heading}><h2>${heading}</h2>${factList(rows, true)}</section>`;
  }

  /** Whether the run that is shown is one of this file, and of the stream that is drawn. */
  #isRun(): boolean {
    const { model, analysis } = this.shown;
    const run = analysis.started?.model;
    const inspection = this.#inspection();
    const isOther = inspection && inspection.streams.length > 1 && run?.stream !== inspection.model.stream;
    return run !== undefined && run.file === model?.file && !isOther;
  }

  #inspection() {
    const anatomy = this.#drawn?.description.anatomy;
    return anatomy?.found ? anatomy.inspection : undefined;
  }

  #choose(layer: number | undefined): void {
    this.layer = layer;
    if (this.#isRun()) this.store.select({ layer });
  }

  #act(action: ModelAction): void {
    this.store.send({ type: 'model', action });
  }

  async #onPicture({ detail }: PictureEvent): Promise<void> {
    const { model, analysis, view } = this.shown;
    if (!model || !this.#drawn) return;
    const other = model.other && this.#other?.drawing.blocks.length ? [{ ...this.#other, ...model.other }] : [];
    const files = [{ ...this.#drawn, ...model.shown }, ...other];
    const isPoured = this.#isRun() && analysis.layers.length > 0;
    const made = [
      ...files.map(({ name, drawing }) => `${name}: ${fileInWords(drawing)}`),
      ...(isPoured ? [conditions(analysis, view.thresholds).join(' · ')] : []),
    ];
    const wanted = {
      ...detail,
      title: `${detail.title} of ${files.map(({ name }) => name).join(' and ')}`,
      note: isPoured ? `${detail.note}; colours: ${colouredBy}` : detail.note,
    };
    if (await takePicture(wanted, made.join('. '), (message) => this.store.send(message))) {
      this.#told.tell('Picture copied.');
    }
  }

  #onTable({ detail: { name, open } }: TableEvent): void {
    const tables = new Set(this.tables);
    if (open) tables.add(name);
    else tables.delete(name);
    this.tables = tables;
  }
}

const colouredBy = 'largest entry of each h_k ÷ the layer’s median';

/** The drawing of what is known; the same again where nothing else was said. */
function drawnOf(about: AboutFile | undefined, before: DrawnPicture | undefined): DrawnPicture | undefined {
  if (about?.status !== 'read') return undefined;
  const { description } = about;
  return before?.description === description ? before : { description, drawing: drawingOf(description) };
}
