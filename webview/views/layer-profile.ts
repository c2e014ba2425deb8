/**
 * The three largest magnitudes and the median of every layer, on one logarithmic axis. An entry that is massive or large
 * has a point of that colour.
 */

import { dot, gridY, line, plot, rectX } from '@observablehq/plot';
import { css, type PropertyValues } from 'lit';
import { customElement, query } from 'lit/decorators.js';
import { formatNumber, formatValue } from '../../src/analysis/format.js';
import { layerName } from '../../src/analysis/label.js';
import { type Kind, kindOf } from '../../src/analysis/massive.js';
import { finiteCell } from '../../src/analysis/presentation.js';
import { greatest, least } from '../../src/statistics/numbers.js';
import { shownLayer } from '../findings.js';
import { html } from '../html.js';
import { type Drawing, type EndLabel, endLabels, logAxis, PlotPlace, roomFor } from '../plot.js';
import { logTicks } from '../scale.js';
import { plotStyles } from '../styles.js';
import type { TableData } from '../table.js';
import type { Theme } from '../theme.js';
import { View } from '../view.js';

interface Point {
  readonly layer: number;
  readonly series: string;
  readonly value: number;
  readonly kind?: Kind | undefined;
}

/** Lines of the plot; what each is stands at its end. */
const series = ['top 1', 'top 2', 'top 3', 'median'] as const;
/** From so many CSS pixels on, labels say how large their entry is. */
const roomy = 420;
/** Room for the numbers of the axis, in CSS pixels. */
const marginLeft = 44;

@customElement('sinkscope-layer-profile')
export class LayerProfile extends View {
  static override styles = [
    plotStyles,
    css`
      .plot {
        position: relative;
        min-height: 180px;
        cursor: crosshair;
      }
      .rule {
        position: absolute;
        inset: 22px auto 24px 0;
        width: 1.5px;
        background: var(--vscode-focusBorder);
      }
      .plot:focus-visible {
        outline: 1px solid var(--vscode-focusBorder);
        outline-offset: 2px;
      }
      i {
        display: inline-block;
        width: 8px;
        height: 8px;
        margin-right: 4px;
        border-radius: 50%;
      }
      .massive i { background: var(--massive); }
      .large i { background: var(--large); }
      .onset i {
        height: 12px;
        margin-bottom: -2px;
        border-radius: 0;
        background: var(--massive);
        opacity: 0.25;
      }
    `,
  ];

  @query('.rule') private rule!: HTMLElement;
  readonly #plot = new PlotPlace(this, (width, theme) => this.#draw(width, theme));

  override render() {
    const { layers } = this.scene.analysis;
    const layer = shownLayer(this.scene.analysis, this.scene.findings, this.scene.selection);
    const onset = this.scene.findings.massive.find(({ kind }) => kind === 'massive')?.onset;
    const drawn = this.#points();
    const kinds = (['massive', 'large'] as const).filter((kind) => drawn.some((point) => point.kind === kind));
    return this.figure({
      name: 'layer-profile',
      heading: 'Layer profile',
      note: '|h| top 1–3 and median',
      table: () => this.#table(),
      picture: (theme) => ({
        ...this.#plot.picture(theme),
        key: [
          ...kinds.map((kind) => ({ text: kind, color: theme[kind], dot: true })),
          ...(onset === undefined ? [] : [{ text: `onset: layer ${onset}`, color: theme.massive, band: true }]),
        ],
      }),
      body: html`
        <div
          class="plot"
          role="slider"
          tabindex="0"
          aria-label="Layer"
          aria-valuemin="0"
          aria-valuemax=${Math.max(0, layers.length - 1)}
          aria-valuenow=${layer}
          aria-valuetext=${this.#describe(layer)}
          @keydown=${this.#onKey}
          @click=${this.#onClick}
        ><div class="rule"></div></div>
        <ul aria-hidden="true">
          ${kinds.map((kind) => html`<li class=${kind}><i></i>${kind}</li>`)}
          ${onset === undefined ? '' : html`<li class="onset"><i></i>onset: layer ${onset}</li>`}
        </ul>
      `,
    });
  }

  override updated(changed: PropertyValues<this>): void {
    if (this.differs(changed, 'findings', 'theme')) this.#plot.draw();
    else if (this.differs(changed, 'selection')) this.#placeRule(this.#plot.drawing);
  }

  #points(): Point[] {
    const { analysis, thresholds } = this.scene;
    return analysis.layers.flatMap((statistics, layer) => [
      ...statistics.top.slice(0, 3).map(({ value }, rank) => ({
        layer,
        series: `top ${rank + 1}`,
        value: Math.abs(value),
        kind: kindOf(value, statistics, thresholds),
      })),
      { layer, series: 'median', value: statistics.median },
    ]);
  }

  /** Of lines, by their last point: which dimension it is of. */
  #labels(points: readonly Point[], width: number, theme: Theme): EndLabel[] {
    const last = this.scene.analysis.layers.length - 1;
    const top = this.scene.analysis.layers[last]?.top.slice(0, 3) ?? [];
    return series.flatMap((name, rank) => {
      const point = points.find((one) => one.layer === last && one.series === name);
      if (point === undefined) return [];
      const entry = top[rank];
      const isTwice = top.filter(({ dim }) => dim === entry?.dim).length > 1;
      const called = name === 'median' ? name : `dim ${entry?.dim}${isTwice ? `, token ${entry?.token}` : ''}`;
      const text = width < roomy ? called : `${called}: ${formatNumber(point.value)}`;
      return [{ x: last, y: point.value, text, color: point.kind ? theme[point.kind] : theme.muted }];
    });
  }

  /** In the page's theme with the rule of the layer that is shown; in another one, for a picture, without. */
  #draw(width: number, other?: Theme): Drawing {
    const { findings } = this.scene;
    const theme = other ?? this.scene.theme;
    // A logarithmic axis has no place for zero.
    const points = this.#points().filter(({ value }) => value > 0);
    const onset = findings.massive.find(({ kind }) => kind === 'massive')?.onset;
    const values = points.map(({ value }) => value);
    const domain = [least(values, 1) / 1.5, greatest(values, 10) * 1.6] as const;
    const ticks = logTicks(...domain);
    const labels = this.#labels(points, width, theme);
    const lines = series.map((name) =>
      line(
        points.filter((point) => point.series === name),
        { x: 'layer', y: 'value', stroke: name === 'median' ? theme.muted : theme.foreground, strokeWidth: 1.25 },
      ),
    );
    const band = (at: number, fill: string, opacity: number) =>
      rectX([at], { x1: at - 0.25, x2: at + 0.25, fill, fillOpacity: opacity });
    const marginRight = roomFor(
      labels.map(({ text }) => text),
      theme,
    );
    const drawing = plot({
      width,
      height: other ? 260 : 190,
      marginLeft,
      marginRight,
      marginTop: 22,
      marginBottom: other ? 36 : 24,
      style: { background: 'none', color: theme.muted, fontFamily: theme.font, fontSize: '11px' },
      x: {
        domain: [-0.3, Math.max(1, findings.layers) + 0.3],
        ticks: layerTicks(findings.layers, width - marginLeft - marginRight),
        tickFormat: layerName,
        tickSize: 0,
        label: other ? 'layer' : null,
        labelArrow: 'none',
        labelAnchor: 'center',
      },
      y: {
        type: 'log',
        domain,
        axis: null,
      },
      marks: [
        gridY({ ticks, stroke: theme.muted, strokeOpacity: 0.2 }),
        logAxis('y', ticks, formatNumber, '|h|, log scale'),
        onset === undefined ? null : band(onset, theme.massive, 0.2),
        ...lines,
        dot(points, {
          x: 'layer',
          y: 'value',
          r: 2,
          fill: ({ kind, series }: Point) =>
            kind ? theme[kind] : series === 'median' ? theme.muted : theme.foreground,
        }),
        endLabels(labels),
      ],
    });
    if (!other) this.#placeRule(drawing);
    return drawing;
  }

  /** The shown layer's line lies above the plot, so that choosing a layer draws nothing anew. */
  #placeRule(drawing: Drawing | undefined): void {
    const layer = shownLayer(this.scene.analysis, this.scene.findings, this.scene.selection);
    const x: number | undefined = drawing?.scale('x')?.apply(layer);
    if (x !== undefined) this.rule.style.transform = `translateX(${x - 0.75}px)`;
  }

  #describe(layer: number): string {
    const statistics = this.scene.analysis.layers[layer];
    if (statistics === undefined) return 'no layer yet';
    const entries = statistics.top.slice(0, 3).map(({ value, token, dim }) => {
      return `${formatValue(value)} in dimension ${dim} on ${this.scene.findings.labels[token] ?? `token ${token}`}`;
    });
    return `layer ${layerName(layer)}: ${entries.join(', ')}; median ${formatNumber(statistics.median)}`;
  }

  #onKey(event: KeyboardEvent): void {
    const last = this.scene.analysis.layers.length - 1;
    const layer = shownLayer(this.scene.analysis, this.scene.findings, this.scene.selection);
    const steps: Record<string, number> = {
      ArrowLeft: layer - 1,
      ArrowDown: layer - 1,
      ArrowRight: layer + 1,
      ArrowUp: layer + 1,
      Home: 0,
      End: last,
    };
    const wanted = steps[event.key];
    if (wanted === undefined) return;
    event.preventDefault();
    this.select({ layer: Math.max(0, Math.min(last, wanted)) });
  }

  #onClick(event: MouseEvent): void {
    const { drawing } = this.#plot;
    const invert = drawing?.scale('x')?.invert;
    if (!drawing || !invert) return;
    const layer = Math.round(invert(event.clientX - drawing.getBoundingClientRect().left));
    if (layer >= 0 && layer < this.scene.analysis.layers.length) this.select({ layer });
  }

  #table(): TableData {
    const { analysis, findings } = this.scene;
    return {
      caption: 'Largest magnitudes and the median of each layer',
      columns: [
        { name: 'layer' },
        ...series.map((name) => ({ name, format: name === 'median' ? ('number' as const) : ('value' as const) })),
        { name: 'ratio', format: 'ratio' },
      ],
      rows: analysis.layers.length,
      cells: (layer) => {
        const { top = [], median = Number.NaN } = analysis.layers[layer] ?? {};
        return [
          layerName(layer),
          ...[0, 1, 2].map((rank) => finiteCell(top[rank]?.value)),
          finiteCell(median),
          finiteCell(findings.ratios[layer]),
        ];
      },
    };
  }
}

/**
 * Every layer where there is room, else every second, fifth, tenth …
 *
 * @param width of the axis alone, in CSS pixels
 */
function layerTicks(layers: number, width: number): number[] {
  const room = Math.max(2, Math.floor(width / 26));
  const step = [1, 2, 4, 5, 8, 10, 20, 50, 100].find((every) => layers / every <= room) ?? 100;
  const ticks = Array.from({ length: Math.floor(layers / step) + 1 }, (_, tick) => tick * step);
  // The first is called by a word, which needs more room.
  const apart = (width * step) / (Math.max(1, layers) + 0.6);
  return ticks.filter((tick) => tick !== step || apart >= 34);
}
