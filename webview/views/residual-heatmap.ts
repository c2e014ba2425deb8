/** Layer × token: how far each token's largest |h| stands above its layer's median. */

import type { PropertyValues } from 'lit';
import { customElement, query } from 'lit/decorators.js';
import { formatNumber, formatRatio, formatValue } from '../../src/analysis/format.js';
import { layerName } from '../../src/analysis/label.js';
import { kindOf } from '../../src/analysis/massive.js';
import { finiteCell } from '../../src/analysis/presentation.js';
import type { Cells, Mark } from '../cells.js';
import '../grid.js';
import type { CellEvent, CellSize, Grid } from '../grid.js';
import '../legend.js';
import { html } from '../html.js';
import { zoomVerbs } from '../icon.js';
import { ratioAt } from '../numbers.js';
import { multipleScale, type Scale } from '../scale.js';
import { keyStyles, quietButtonStyles } from '../styles.js';
import type { TableData } from '../table.js';
import { View } from '../view.js';

const size: CellSize = { width: [4, 44], height: [8, 16], plot: 400 };

@customElement('sinkscope-residual-heatmap')
export class ResidualHeatmap extends View {
  static override styles = [keyStyles, quietButtonStyles];

  @query('sinkscope-grid') private grid!: Grid;

  #cells!: Cells;
  #scale!: Scale;

  override willUpdate(changed: PropertyValues<this>): void {
    if (!this.differs(changed, 'findings', 'thresholds')) return;
    if (this.differs(changed, 'thresholds')) this.#scale = multipleScale(this.scene.thresholds);
    this.#cells = this.#celled();
  }

  override render() {
    const { token: column, layer: row } = this.scene.selection;
    const { absolute, ratio, soft } = this.scene.thresholds;
    const zoom = (factor: number | undefined) => () => this.grid.zoom(factor);
    return this.figure({
      name: 'residual-stream',
      heading: 'Residual stream: layer × token',
      note: 'max |h| over dimensions ÷ layer median',
      actions: html`${zoomVerbs(' cells', zoom)}`,
      table: () => this.#table(),
      picture: (theme) => this.grid.picture(theme),
      scale: this.#scale,
      body: html`
        <sinkscope-grid
          label="Residual stream: largest magnitude by layer and token, as multiples of the layer's median"
          .cells=${this.#cells}
          .theme=${this.scene.theme}
          .size=${size}
          .selected=${{ row, column }}
          @cell=${(event: CellEvent) => this.select({ layer: event.detail.row, token: event.detail.column })}
        ></sinkscope-grid>
        <div class="key">
          <sinkscope-legend .scale=${this.#scale} .theme=${this.scene.theme}></sinkscope-legend>
          <span>
            solid frame: massive, |h| > ${formatNumber(absolute)} and ≥ ${formatRatio(ratio)} median · dashed: large, ≥
            ${formatRatio(soft)}
          </span>
        </div>
      `,
    });
  }

  #celled(): Cells {
    const { layers } = this.scene.analysis;
    const { labels, tokens } = this.scene.findings;
    const marks: Mark[] = [];
    const rows = this.scene.findings.layers + 1;
    const shades = new Float32Array(rows * tokens).fill(Number.NaN);
    for (const [layer, statistics] of layers.entries()) {
      const { tokenMax, median } = statistics;
      if (!(median > 0)) continue;
      for (const [token, max] of tokenMax.entries()) {
        shades[layer * tokens + token] = this.#scale.at(max / median);
        const kind = kindOf(max, statistics, this.scene.thresholds);
        if (kind !== undefined) marks.push({ row: layer, column: token, kind });
      }
    }
    return {
      rows,
      columns: tokens,
      shades,
      marks,
      rowLabel: layerName,
      ramp: this.#scale.ramp,
      columnLabel: (token) => labels[token] ?? `${token}`,
      text: (layer, token) => formatNumber(ratioAt(layers[layer], token)),
      describe: (layer, token) => this.#describe(layer, token),
    };
  }

  #describe(layer: number, token: number): string[] {
    const statistics = this.scene.analysis.layers[layer];
    const title = `${this.scene.findings.labels[token] ?? ''} · token ${token} · layer ${layerName(layer)}`;
    if (statistics === undefined) return [title, 'not computed yet'];
    const dim = statistics.tokenMaxDim[token];
    const max = statistics.tokenMax[token] ?? Number.NaN;
    const named = statistics.top.find((entry) => entry.token === token && entry.dim === dim);
    const value = named ? formatValue(named.value) : `|h| ${formatNumber(max)}`;
    return [
      title,
      `dimension ${dim}: ${value} = ${formatRatio(ratioAt(statistics, token))} the median`,
      `L2 norm ${formatNumber(statistics.tokenNorm[token] ?? Number.NaN)}, layer median ${formatNumber(statistics.median)}`,
    ];
  }

  #table(): TableData {
    const { layers } = this.scene.analysis;
    const { labels, tokens } = this.scene.findings;
    return {
      caption: 'Largest |h| of each token as a multiple of the layer’s median, by layer',
      columns: [{ name: 'token' }, ...layers.map((_, layer) => ({ name: layerName(layer), format: 'ratio' as const }))],
      rows: tokens,
      cells: (token) => [
        `${token} ${labels[token] ?? ''}`,
        ...layers.map((statistics) => finiteCell(ratioAt(statistics, token))),
      ],
    };
  }
}
