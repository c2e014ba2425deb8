/** Every entry that stands out, as a table: which token and dimension, how much, from where to where. */

import { css } from 'lit';
import { customElement } from 'lit/decorators.js';
import { formatNumber } from '../../src/analysis/format.js';
import type { TableData } from '../table.js';
import '../table.js';
import { html } from '../html.js';
import { View } from '../view.js';

@customElement('sinkscope-massive-table')
export class MassiveTable extends View {
  static override styles = css`
    sinkscope-table {
      --table-height: 216px;
      --table-width: 100%;
    }
    p {
      margin: 4px 0;
      color: var(--muted);
    }
  `;

  override render() {
    const { massive } = this.scene.findings;
    const count = massive.filter(({ kind }) => kind === 'massive').length;
    return this.figure({
      name: 'massive-activations',
      heading: 'Massive activations',
      note: `${formatNumber(count)} massive, ${formatNumber(massive.length - count)} large`,
      ...(massive.length > 0 && { rows: () => this.#table() }),
      body:
        massive.length === 0
          ? html`<p>${this.scene.analysis.status === 'running' ? 'None so far.' : 'No entry stands out by the thresholds in force.'}</p>`
          : html`<sinkscope-table
              .data=${this.#table()}
              @row=${(event: CustomEvent<number>) => {
                const chosen = massive[event.detail];
                if (chosen) this.select({ token: chosen.token, dim: chosen.dim, layer: chosen.layer });
              }}
            ></sinkscope-table>`,
    });
  }

  #table(): TableData {
    const { massive, labels } = this.scene.findings;
    const { token, dim } = this.scene.selection;
    const shownToken = (row: number) => {
      const { kind, token = row } = massive[row] ?? {};
      return `${kind === 'massive' ? '▲' : '△'} ${labels[token] ?? `token ${token}`}`;
    };
    const selected = massive.findIndex((activation) => activation.token === token && activation.dim === dim);
    return {
      caption: 'Value and ratio where the ratio is greatest; first → last layer where it stands out so',
      columns: [
        { name: 'token' },
        { name: 'dim', format: 'plain' },
        { name: 'value', format: 'value' },
        { name: '÷ median', format: 'ratio' },
        { name: 'layers' },
      ],
      rows: massive.length,
      // Entries of one token are told apart by what stands beside it, which a button's name does not have.
      named: (row) => `${shownToken(row)}, dim ${massive[row]?.dim}, ${massive[row]?.kind}`,
      cells: (row) => {
        const activation = massive[row];
        if (!activation) return [];
        const { dim, value, ratio, onset, last } = activation;
        return [shownToken(row), dim, value, ratio, onset === last ? `${onset}` : `${onset} → ${last}`];
      },
      order: (row) => {
        const activation = massive[row];
        if (!activation) return [];
        const { token, dim, value, ratio, onset } = activation;
        return [token, dim, Math.abs(value), ratio, onset];
      },
      selectable: true,
      ...(selected < 0 ? {} : { selected }),
    };
  }
}
