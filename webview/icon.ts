/**
 * VS Code's icons as pictures inside the elements that show them: the icon font's style sheet does not reach into a
 * shadow tree, and a report has no font with it.
 */
import chevronDown from '@vscode/codicons/src/icons/chevron-down.svg';
import chevronRight from '@vscode/codicons/src/icons/chevron-right.svg';
import close from '@vscode/codicons/src/icons/close.svg';
import copy from '@vscode/codicons/src/icons/copy.svg';
import discard from '@vscode/codicons/src/icons/discard.svg';
import json from '@vscode/codicons/src/icons/json.svg';
import save from '@vscode/codicons/src/icons/save.svg';
import table from '@vscode/codicons/src/icons/table.svg';
import zoomIn from '@vscode/codicons/src/icons/zoom-in.svg';
import zoomOut from '@vscode/codicons/src/icons/zoom-out.svg';
import { css, LitElement, nothing } from 'lit';
import { customElement, property } from 'lit/decorators.js';
import { html } from './html.js';

const icons = { chevronDown, chevronRight, close, copy, discard, json, save, table, zoomIn, zoomOut } as const;
export type IconName = keyof typeof icons;

@customElement('sinkscope-icon')
export class Icon extends LitElement {
  static override styles = css`
    :host {
      display: block;
      width: 16px;
      height: 16px;
    }
    svg {
      display: block;
    }
  `;

  @property() name: IconName = 'save';

  override render() {
    return new DOMParser().parseFromString(icons[this.name], 'image/svg+xml').documentElement;
  }

  override connectedCallback(): void {
    super.connectedCallback();
    this.ariaHidden = 'true';
  }
}

/** A small verb: an icon, and the name that screen readers and the mouse are told. */
export interface Verb {
  readonly icon: IconName;
  readonly name: string;
  /** What is shown on hover, where that is more than the name. */
  readonly title?: string | undefined;
  readonly testId?: string;
  readonly pressed?: boolean;
  readonly expanded?: boolean;
}

/** A button of {@link Verb}; `quietButtonStyles` belong to it. */
export const verb = ({ icon, name, title = name, testId, pressed, expanded }: Verb, act: () => void) => html`<button
  class="quiet icon"
  aria-label=${name}
  title=${title}
  data-testid=${testId ?? nothing}
  aria-pressed=${pressed ?? nothing}
  aria-expanded=${expanded ?? nothing}
  @click=${act}
><sinkscope-icon name=${icon}></sinkscope-icon></button>`;

/**
 * Verbs that make what is drawn smaller and larger and, with `whole`, as it stood at first.
 *
 * @param what grows: ` cells`
 * @param zoom what a factor does; undefined: back to the whole
 */
export const zoomVerbs = (
  what: string,
  zoom: (factor: number | undefined) => () => void,
  whole?: Pick<Verb, 'name' | 'title'>,
) => [
  verb({ icon: 'zoomOut', name: `Smaller${what}`, title: `Smaller${what} (−, Ctrl and wheel)` }, zoom(1 / 1.5)),
  verb({ icon: 'zoomIn', name: `Larger${what}`, title: `Larger${what} (+, Ctrl and wheel)` }, zoom(1.5)),
  whole === undefined ? nothing : verb({ icon: 'discard', ...whole }, zoom(undefined)),
];

declare global {
  interface HTMLElementTagNameMap {
    'sinkscope-icon': Icon;
  }
}
