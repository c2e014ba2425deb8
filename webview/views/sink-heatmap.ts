/** Layer × head: how much of each head's attention one token draws. */

import { css, type PropertyValues } from 'lit';
import { customElement, query, state } from 'lit/decorators.js';
import { formatNumber } from '../../src/analysis/format.js';
import { finiteCell } from '../../src/analysis/presentation.js';
import { tokenName } from '../../src/analysis/summary.js';
import type { PatternStatistics } from '../../src/statistics/statistics.js';
import type { Cells, Mark } from '../cells.js';
import { shownToken } from '../findings.js';
import '../grid.js';
import type { CellEvent, CellSize, Grid } from '../grid.js';
import '../legend.js';
import { greatest } from '../../src/statistics/numbers.js';
import { html } from '../html.js';
import { formatWeight } from '../numbers.js';
import { linearScale } from '../scale.js';
import { keyStyles, quietButtonStyles } from '../styles.js';
import type { TableData } from '../table.js';
import { View } from '../view.js';

const scale = linearScale(0, 1, formatWeight, 'attention');
/** All layers of a large model are seen at once: which heads have a sink is read down the layers. */
const size: CellSize = { width: [10, 44], height: [5, 22], plot: 420 };
const extraName = 'the extra column';

@customElement('sinkscope-sink-heatmap')
export class SinkHeatmap extends View {
  static override styles = [
    keyStyles,
    quietButtonStyles,
    css`
      p {
        margin: 4px 0;
        color: var(--muted);
      }
    `,
  ];

  /** Whether the columns that belong to no token are shown in place of a token; undefined until somebody chooses. */
  @state() private chosenExtra: boolean | undefined;

  @query('sinkscope-grid') private grid!: Grid;

  #token: number | undefined;
  /** Whose attention the cells are of. */
  #drawing: number | 'extra' | undefined;
  #cells!: Cells;

  override willUpdate(changed: PropertyValues<this>): void {
    const { token } = this.scene.selection;
    if (token !== undefined && token !== this.#token) this.chosenExtra = undefined;
    this.#token = token;
    const drawing = this.#extra() ? 'extra' : shownToken(this.scene.findings, this.scene.selection);
    if (drawing === this.#drawing && !this.differs(changed, 'findings')) return;
    this.#drawing = drawing;
    this.#cells = this.#celled();
  }

  override render() {
    const { attention, status } = this.scene.analysis;
    const { layer, head } = this.scene.selection;
    const { sinks } = this.scene.findings;
    if (sinks.heads === 0) {
      return html`${this.figure({
        name: 'attention-sinks',
        heading: 'Attention sinks: layer × head',
        note: '',
        body: html`<p>${status === 'running' ? 'No attention pattern yet.' : 'No attention patterns in this run.'}</p>`,
      })}`;
    }
    const extra = attention.some((statistics) => statistics?.extra !== undefined);
    const select = (event: CellEvent) => this.select({ layer: event.detail.row + 1, head: event.detail.column });
    return this.figure({
      name: 'attention-sinks',
      heading: 'Attention sinks: layer × head',
      note: `α of ${this.#target()}, ring: α > ε = ${sinks.epsilon}, T = ${formatNumber(sinks.tokens)}`,
      actions: extra
        ? html`<button
            class="quiet"
            title="Keys that belong to no token: k′, v′ of an explicit attention bias, or a learned sink"
            aria-pressed=${this.#extra()}
            @click=${() => {
              this.chosenExtra = !this.#extra();
            }}
          >extra column</button>`
        : undefined,
      table: () => this.#table(),
      picture: (theme) => this.grid.picture(theme),
      scale,
      body: html`
        <sinkscope-grid
          label="Attention sinks: mean attention that ${this.#target()} draws, by layer and head"
          .cells=${this.#cells}
          .theme=${this.scene.theme}
          .size=${size}
          .selected=${{ row: layer === undefined || layer === 0 ? undefined : layer - 1, column: head }}
          @cell=${select}
        ></sinkscope-grid>
        <div class="key"><sinkscope-legend .scale=${scale} .theme=${this.scene.theme}></sinkscope-legend><span>layers down, heads across${this.scene.answers ? '; click for the pattern' : ''}</span></div>
      `,
    });
  }

  /** The extra column stands in where it draws more heads than any token and no token is selected. */
  #extra(): boolean {
    if (this.chosenExtra !== undefined) return this.chosenExtra;
    const { extraRate, rate, sinks } = this.scene.findings.sinks;
    return (
      this.scene.selection.token === undefined && extraRate !== undefined && extraRate >= (sinks[0]?.share ?? rate ?? 0)
    );
  }

  #target(): string {
    if (this.#extra()) return extraName;
    const token = shownToken(this.scene.findings, this.scene.selection);
    return tokenName(this.scene.analysis, token);
  }

  #alpha(statistics: PatternStatistics | undefined, head: number): number {
    if (statistics === undefined || head >= statistics.heads) return Number.NaN;
    if (this.#extra()) return statistics.extra?.alpha[head] ?? Number.NaN;
    const token = shownToken(this.scene.findings, this.scene.selection);
    return statistics.alpha[head * statistics.tokens + token] ?? Number.NaN;
  }

  #celled(): Cells {
    const { attention } = this.scene.analysis;
    const { layers, sinks } = this.scene.findings;
    const heads = greatest(
      attention.map((statistics) => statistics?.heads ?? 0),
      0,
    );
    const marks: Mark[] = [];
    const alphas = new Float32Array(heads * layers).fill(Number.NaN);
    for (let layer = 0; layer < layers; layer++) {
      for (let head = 0; head < heads; head++) {
        const alpha = this.#alpha(attention[layer], head);
        alphas[layer * heads + head] = alpha;
        if (alpha > sinks.epsilon) marks.push({ row: layer, column: head, kind: 'sink' });
      }
    }
    const alphaAt = (row: number, head: number) => alphas[row * heads + head] ?? Number.NaN;
    return {
      rows: layers,
      columns: heads,
      shades: alphas,
      marks,
      rowLabel: (row) => `${row + 1}`,
      ramp: scale.ramp,
      columnLabel: (head) => `${head}`,
      text: (row, head) => formatWeight(alphaAt(row, head)),
      describe: (row, head) => [
        `layer ${row + 1}, head ${head}`,
        `α of ${this.#target()}: ${formatWeight(alphaAt(row, head))}`,
        `${alphaAt(row, head) > sinks.epsilon ? 'above' : 'not above'} ε = ${sinks.epsilon}`,
      ],
    };
  }

  #table(): TableData {
    const { rows, columns, shades } = this.#cells;
    return {
      caption: `α of ${this.#target()} by layer and head; ε = ${this.scene.findings.sinks.epsilon}, T = ${formatNumber(this.scene.findings.sinks.tokens)}`,
      columns: [
        { name: 'layer' },
        ...Array.from({ length: columns }, (_, head) => ({ name: `head ${head}`, format: 'fixed' as const })),
      ],
      rows,
      cells: (layer) => [
        `${layer + 1}`,
        ...Array.from({ length: columns }, (_, head) => finiteCell(shades[layer * columns + head])),
      ],
    };
  }
}
