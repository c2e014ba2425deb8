/** The three largest magnitudes and the median of every layer, on one logarithmic axis. */

import { dot, gridY, line, plot, rectX, text } from '@observablehq/plot';
import { css, html, type PropertyValues } from 'lit';
import { customElement, query } from 'lit/decorators.js';
import { formatNumber, formatValue } from '../../src/analysis/format.js';
import { layerName } from '../../src/analysis/label.js';
import { shownLayer } from '../findings.js';
import { svgPicture } from '../picture.js';
import { plotStyles } from '../styles.js';
import type { TableData } from '../table.js';
import { View } from '../view.js';

interface Point {
  readonly layer: number;
  readonly series: string;
  readonly value: number;
}

/** The plot's own scale, from layers to CSS pixels and back. */
interface LayerScale {
  apply(layer: number): number;
  invert(x: number): number;
}

const series = ['top 1', 'top 2', 'top 3', 'median'];

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
        inset: 10px auto 24px 0;
        width: 1.5px;
        background: var(--vscode-focusBorder);
      }
      .plot:focus-visible {
        outline: 1px solid var(--vscode-focusBorder);
        outline-offset: 2px;
      }
      i {
        display: inline-block;
        width: 16px;
        margin-right: 4px;
        vertical-align: middle;
        border-top: 2px solid;
      }
      .onset i {
        width: 8px;
        height: 12px;
        border: none;
        background: var(--massive);
        opacity: 0.25;
      }
      .series0 i { color: var(--massive); }
      .series1 i { color: var(--large); border-top-style: dashed; }
      .series2 i { color: var(--large); border-top-style: dotted; }
      .series3 i { color: var(--muted); }
    `,
  ];

  @query('.plot') private canvas!: HTMLElement;
  @query('.rule') private rule!: HTMLElement;
  #width = 0;
  #svg: SVGSVGElement | undefined;
  readonly #resize = new ResizeObserver(([entry]) => {
    const width = Math.round(entry.contentRect.width);
    if (width === this.#width || width === 0) return;
    this.#width = width;
    this.#draw();
  });

  override render() {
    const { layers } = this.scene.analysis;
    const layer = shownLayer(this.scene.analysis, this.scene.findings, this.scene.selection);
    const onset = this.scene.findings.massive.find(({ kind }) => kind === 'massive')?.onset;
    return this.figure({
      name: 'layer-profile',
      heading: 'Layer profile',
      note: '|h| top 1–3 and median, log scale',
      table: () => this.#table(),
      picture: () => svgPicture(this.#svg as SVGSVGElement, this.#width, 190, this.scene.theme),
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
          ${series.map((name, index) => html`<li class="series${index}"><i></i>${name}</li>`)}
          ${onset === undefined ? '' : html`<li class="onset"><i></i>onset: layer ${onset}</li>`}
        </ul>
      `,
    });
  }

  override firstUpdated(): void {
    this.#resize.observe(this.canvas);
  }

  override updated(changed: PropertyValues<this>): void {
    if (this.differs(changed, 'findings', 'theme')) this.#draw();
    if (this.differs(changed, 'selection')) this.#placeRule();
  }

  override disconnectedCallback(): void {
    super.disconnectedCallback();
    this.#resize.disconnect();
  }

  #points(): Point[] {
    return this.scene.analysis.layers.flatMap(({ top, median }, layer) => [
      ...top.slice(0, 3).map((entry, rank) => ({ layer, series: series[rank], value: Math.abs(entry.value) })),
      { layer, series: 'median', value: median },
    ]);
  }

  #draw(): void {
    if (this.#width === 0) return;
    const { theme, findings } = this.scene;
    // A logarithmic axis has no place for zero.
    const points = this.#points().filter(({ value }) => value > 0);
    const onset = findings.massive.find(({ kind }) => kind === 'massive')?.onset;
    const values = points.map(({ value }) => value);
    const [low, high] = [Math.min(1, ...values), Math.max(10, ...values)];
    const last = points.filter((point) => point.layer === this.scene.analysis.layers.length - 1);
    const colors = [theme.massive, theme.large, theme.large, theme.muted];
    const lines = series.map((name, index) =>
      line(
        points.filter((point) => point.series === name),
        {
          x: 'layer',
          y: 'value',
          stroke: colors[index],
          strokeWidth: 1.5,
          strokeDasharray: ['', '5 3', '1 3', ''][index],
        },
      ),
    );
    const band = (at: number, fill: string, opacity: number) =>
      rectX([at], { x1: at - 0.25, x2: at + 0.25, fill, fillOpacity: opacity });
    this.#svg?.remove();
    const svg = plot({
      width: this.#width,
      height: 190,
      marginLeft: 44,
      marginRight: 50,
      marginTop: 10,
      marginBottom: 24,
      style: { background: 'none', color: theme.muted, fontFamily: theme.font, fontSize: '11px' },
      x: {
        domain: [-0.3, Math.max(1, findings.layers) + 0.3],
        ticks: layerTicks(findings.layers, this.#width),
        tickFormat: layerName,
        tickSize: 0,
        label: null,
      },
      y: { type: 'log', domain: [low / 1.5, high * 1.6], ticks: 4, tickFormat: formatNumber, tickSize: 0, label: null },
      marks: [
        gridY({ ticks: 4, stroke: theme.muted, strokeOpacity: 0.2 }),
        onset === undefined ? null : band(onset, theme.massive, 0.2),
        ...lines,
        dot(points, {
          x: 'layer',
          y: 'value',
          r: 2,
          fill: (point: Point) => colors[series.indexOf(point.series)],
        }),
        text(
          last.filter((point) => point.series === 'top 1' || point.series === 'median'),
          {
            x: 'layer',
            y: 'value',
            text: (point: Point) => formatNumber(point.value),
            textAnchor: 'start',
            dx: 7,
            fill: (point: Point) => colors[series.indexOf(point.series)],
          },
        ),
      ],
    });
    // Plot's own style sheet would be refused by the webview's policy; what it says is said in `styles`.
    for (const style of svg.querySelectorAll('style')) style.remove();
    svg.setAttribute('aria-hidden', 'true');
    this.#svg = svg as SVGSVGElement;
    this.canvas.append(svg);
    this.#placeRule();
  }

  /** The shown layer's line lies above the plot, so that choosing a layer draws nothing anew. */
  #placeRule(): void {
    const x = this.#scale()?.apply(shownLayer(this.scene.analysis, this.scene.findings, this.scene.selection));
    if (x !== undefined) this.rule.style.transform = `translateX(${x - 0.75}px)`;
  }

  #scale(): LayerScale | undefined {
    return (this.#svg as (SVGSVGElement & { scale(name: 'x'): LayerScale }) | undefined)?.scale('x');
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
    const scale = this.#scale();
    if (this.#svg === undefined || scale === undefined) return;
    const layer = Math.round(scale.invert(event.clientX - this.#svg.getBoundingClientRect().left));
    if (layer >= 0 && layer < this.scene.analysis.layers.length) this.select({ layer });
  }

  #table(): TableData {
    const { layers } = this.scene.analysis;
    return {
      caption: 'Largest magnitudes and the median of each layer',
      columns: ['layer', ...series, 'ratio'],
      rows: layers.length,
      cell: (layer, column) => {
        const { top, median } = layers[layer];
        const cells = [0, 1, 2].map((rank) => (top[rank] ? formatValue(top[rank].value) : ''));
        return [
          layerName(layer),
          ...cells,
          formatNumber(median),
          `${formatNumber(this.scene.findings.ratios[layer])} ×`,
        ][column];
      },
    };
  }
}

/** Every layer where there is room, else every second, fifth, tenth … */
function layerTicks(layers: number, width: number): number[] {
  const room = Math.max(2, Math.floor(width / 34));
  const step = [1, 2, 4, 5, 8, 10, 20, 50, 100].find((every) => layers / every <= room) ?? 100;
  return Array.from({ length: Math.floor(layers / step) + 1 }, (_, tick) => tick * step);
}
