/**
 * How large every entry is, as a surface: tokens × dims of the shown layer (arXiv:2402.17762, figure 1), or layers × dims
 * of the shown token. Flat where nothing else can be drawn, or where that is wanted. Asked for when it comes into sight.
 */
import { css, nothing, type PropertyValues } from 'lit';
import { customElement, query, state } from 'lit/decorators.js';
import { formatNumber, formatRatio, formatValue } from '../../src/analysis/format.js';
import { layerName } from '../../src/analysis/label.js';
import type { AnswerTo } from '../../src/engine/contract/questions.js';
import { type Problem, SinkscopeError, toProblem } from '../../src/errors.js';
import { shownLayer, shownToken } from '../findings.js';
import '../controls.js';
import '../grid.js';
import type { Grid } from '../grid.js';
import { html } from '../html.js';
import { zoomVerbs } from '../icon.js';
import '../legend.js';
import { flatCells, type Magnitudes, magnitudesField, type Over, tableOfMagnitudes } from '../magnitudes.js';
import { type DrawnPicture, paintedSvg } from '../picture.js';
import { multipleScale, type Scale } from '../scale.js';
import { keyStyles, quietButtonStyles } from '../styles.js';
import type { FieldCell, HeightField } from '../surface/field.js';
import '../surface/surface.js';
import type { Drawable, DrawableEvent, FieldCellEvent, Surface } from '../surface/surface.js';
import type { Theme } from '../theme.js';
import { isFailure, View } from '../view.js';

/** The most cells that are asked for: more than this cannot be told apart in a panel, and a surface of it turns smoothly. */
const most = { rows: 192, columns: 512 };
/** Seconds of a run from which on a surface, which may make the blocks run again, is drawn when it is wanted alone. */
const long = 5;
const flatSize = { width: [0.5, 44], height: [0.5, 16], plot: 380 } as const;

interface Shown {
  readonly key: string;
  readonly magnitudes: Magnitudes;
}

@customElement('sinkscope-magnitudes')
export class MagnitudesView extends View {
  static override styles = [
    keyStyles,
    quietButtonStyles,
    css`
      p {
        margin: 4px 0;
        color: var(--muted);
      }
      vscode-button {
        --button-border: var(--second-border);
        vertical-align: middle;
        margin-inline-start: 6px;
      }
      .problem {
        color: var(--vscode-errorForeground);
      }
    `,
  ];

  @state() private over: Over = 'tokens';
  @state() private flat = false;
  @state() private drawable: Drawable | undefined;
  @state() private shown: Shown | undefined;
  @state() private problem: { readonly key: string; readonly problem: Problem } | undefined;
  @state() private inSight = false;
  /** The run whose surfaces are wanted although it was a long one. */
  @state() private wanted = -1;

  @query('sinkscope-surface') private surface!: Surface | null;
  @query('sinkscope-grid') private grid!: Grid | null;

  #asking = false;
  #field: HeightField | undefined;
  #scale!: Scale;
  readonly #sight = new IntersectionObserver(
    (entries) => {
      this.inSight = entries.at(-1)?.isIntersecting ?? false;
    },
    { rootMargin: '120px' },
  );

  override connectedCallback(): void {
    super.connectedCallback();
    this.#sight.observe(this);
  }

  override disconnectedCallback(): void {
    super.disconnectedCallback();
    this.#sight.disconnect();
  }

  override willUpdate(changed: PropertyValues): void {
    void this.#ask();
    if (this.differs(changed, 'thresholds')) this.#scale = multipleScale(this.scene.thresholds);
    if (changed.has('shown') || this.differs(changed, 'findings', 'thresholds'))
      this.#field = this.shown && magnitudesField(this.shown.magnitudes, this.scene, this.#scale);
  }

  override render() {
    const field = this.#shows() ? this.#field : undefined;
    const flat = this.flat || this.drawable === 'no' || this.drawable === 'lost';
    const [layer, token] = [this.#layer(), this.#token()];
    const where =
      this.over === 'tokens'
        ? `token × dimension at layer ${layerName(layer)}`
        : `layer × dimension of ${this.scene.findings.labels[token] ?? ''} (token ${token})`;
    return this.figure({
      name: 'magnitudes',
      heading: `Magnitudes: ${where}`,
      note: field ? this.#note(field) : '',
      actions: this.#actions(flat),
      ...(field && {
        table: () => tableOfMagnitudes(this.#magnitudes(), this.scene),
        picture: (theme) => this.#picture(flat, theme),
        scale: this.#scale,
      }),
      body: field ? this.#body(field, flat) : this.#words(),
    });
  }

  #picture(flat: boolean, theme: Theme): DrawnPicture {
    if (flat && this.grid) return this.grid.picture(theme);
    return paintedSvg(this.surface?.picture(theme) ?? document.createElement('canvas'));
  }

  #note({ pool, rowAxis }: HeightField): string {
    if (pool.rows === 1 && pool.columns === 1) return '|h|, every entry';
    return `|h|, of each ${pool.rows} ${rowAxis.name}${pool.rows === 1 ? '' : 's'} × ${pool.columns} dims the largest`;
  }

  #actions(flat: boolean) {
    const choice = (over: Over, text: string, title: string) => html`<button
      class="quiet"
      title=${title}
      aria-pressed=${this.over === over}
      data-testid="over-${over}"
      @click=${() => {
        this.over = over;
      }}
    >${text}</button>`;
    const zoom = (factor: number | undefined) => () => (flat ? this.grid : this.surface)?.zoom(factor);
    return html`
      ${choice('tokens', 'one layer', 'All tokens at the layer that is shown')}
      ${choice('layers', 'one token', 'All layers of the token that is shown')}
      <button
        class="quiet"
        aria-pressed=${flat}
        ?disabled=${this.drawable === 'no'}
        data-testid="flat"
        @click=${() => {
          this.flat = !this.flat;
        }}
      >flat</button>
      ${zoomVerbs('', zoom, { name: 'As it stood at first', title: 'As it stood at first (0)' })}
    `;
  }

  #body(field: HeightField, flat: boolean) {
    const { theme } = this.scene;
    const selected = this.#selected();
    const select = ({ detail }: FieldCellEvent) => this.#select(detail);
    const label = `Magnitudes of the residual stream by ${field.rowAxis.name} and dimension`;
    const describe = (cell: FieldCell) => this.#describe(cell);
    return html`
      ${this.#remark()}
      <sinkscope-surface
        ?hidden=${flat}
        label=${label}
        .field=${field}
        .theme=${theme}
        .selected=${selected}
        .describe=${describe}
        @cell=${select}
        @drawable=${({ detail }: DrawableEvent) => {
          this.drawable = detail;
        }}
      ></sinkscope-surface>
      ${
        flat
          ? html`<sinkscope-grid
              label=${label}
              .cells=${flatCells(field, describe)}
              .theme=${theme}
              .size=${flatSize}
              .selected=${selected}
              @cell=${select}
            ></sinkscope-grid>`
          : nothing
      }
      <div class="key">
        <sinkscope-legend .scale=${this.#scale} .theme=${theme}></sinkscope-legend>
        <span>colour: |h| ÷ layer median${flat ? '' : ' · height: |h| · drag or arrow keys turn it'}</span>
      </div>
    `;
  }

  /** Why it is flat, where nobody chose that. */
  #remark() {
    if (this.drawable === 'no')
      return html`<p role="status">This window has no WebGL 2, so the surface is shown flat.</p>`;
    if (this.drawable === 'lost')
      return html`<p role="status">
        The graphics context was lost, so the surface is shown flat until the window gets it back.
      </p>`;
    return nothing;
  }

  #words() {
    const key = this.#key();
    if (this.problem !== undefined && this.problem.key === key)
      return html`<p class=${isFailure(this.problem.problem) ? 'problem' : ''}>${this.problem.problem.message}</p>`;
    if (this.scene.analysis.status !== 'finished')
      return html`<p>Magnitudes can be shown when the run has finished.</p>`;
    if (this.#isHeld()) {
      return html`<p>
        Drawing them may take as long as the run did, ${formatNumber(this.#seconds())} s: what the memory setting had no
        room for is computed again.
        <vscode-button
          appearance="secondary"
          data-testid="draw"
          @click=${() => {
            this.wanted = this.scene.run;
          }}
        >Draw</vscode-button>
      </p>`;
    }
    return html`<p>Computing the magnitudes …</p>`;
  }

  #layer(): number {
    return shownLayer(this.scene.analysis, this.scene.findings, this.scene.selection);
  }

  #token(): number {
    return shownToken(this.scene.findings, this.scene.selection);
  }

  #seconds(): number {
    return this.scene.analysis.finished?.seconds ?? 0;
  }

  /** Whether it waits for a click. */
  #isHeld(): boolean {
    return this.#seconds() > long && this.wanted !== this.scene.run;
  }

  /** Names what is wanted; undefined while there can be nothing. */
  #key(): string | undefined {
    if (this.scene.analysis.status !== 'finished') return undefined;
    return `${this.scene.run} ${this.over} ${this.over === 'tokens' ? this.#layer() : this.#token()}`;
  }

  /** What is there is shown until what is wanted has come, as long as it is of this run and of the same kind. */
  #shows(): boolean {
    const key = this.#key();
    if (key === undefined || this.shown === undefined || this.problem?.key === key) return false;
    return this.shown.key.split(' ').slice(0, 2).join(' ') === `${this.scene.run} ${this.over}`;
  }

  #magnitudes(): Magnitudes {
    if (this.shown === undefined) throw new Error('nothing is shown');
    return this.shown.magnitudes;
  }

  /** One question at a time: of what is passed over quickly only the last is asked for. */
  async #ask(): Promise<void> {
    const key = this.#key();
    const settled = key === this.shown?.key || key === this.problem?.key;
    if (key === undefined || settled || this.#asking || !this.inSight || this.#isHeld()) return;
    const at = this.over === 'tokens' ? this.#layer() : this.#token();
    const { over } = this;
    this.#asking = true;
    try {
      const answer: AnswerTo<'magnitudes'> = await this.scene.ask({ type: 'magnitudes', over, at, most });
      if (key.startsWith(`${this.scene.run} `)) this.shown = { key, magnitudes: { ...answer, over, at } };
    } catch (error) {
      if (!SinkscopeError.is(error, 'cancelled')) this.problem = { key, problem: toProblem(error) };
    } finally {
      this.#asking = false;
      this.requestUpdate();
    }
  }

  /** The entry that a cell stands for, as the selection of all views. */
  #entry(cell: FieldCell): { readonly token: number; readonly layer: number; readonly dim: number; value: number } {
    const { over, at, columns, places, values } = this.#magnitudes();
    const { columnAxis } = this.#field ?? {};
    const index = cell.row * columns + cell.column;
    const dims = columnAxis?.extent ?? 1;
    const place = places[index] ?? 0;
    const [row, dim] = [Math.floor(place / dims), place % dims];
    const value = values[index] ?? Number.NaN;
    return over === 'tokens' ? { token: row, layer: at, dim, value } : { token: at, layer: row, dim, value };
  }

  #select(cell: FieldCell): void {
    const { token, layer, dim } = this.#entry(cell);
    this.select({ token, layer, dim });
  }

  #selected(): Partial<FieldCell> {
    const { pool, over } = this.#magnitudes();
    const { token, layer, dim } = this.scene.selection;
    const row = over === 'tokens' ? token : layer;
    return {
      ...(row !== undefined && { row: Math.floor(row / pool.rows) }),
      ...(dim !== undefined && { column: Math.floor(dim / pool.columns) }),
    };
  }

  #describe(cell: FieldCell): string[] {
    const { token, layer, dim, value } = this.#entry(cell);
    const { pool } = this.#magnitudes();
    const median = this.scene.analysis.layers[layer]?.median ?? Number.NaN;
    const label = this.scene.findings.labels[token] ?? '';
    const pooled = pool.rows * pool.columns > 1;
    return [
      `${label} · token ${token} · layer ${layerName(layer)} · dimension ${dim}`,
      `${formatValue(value)} = ${formatRatio(Math.abs(value) / median)} the median`,
      ...(pooled ? [`the largest of ${pool.rows} × ${pool.columns} entries`] : []),
    ];
  }
}
