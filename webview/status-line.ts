/** What was done and nothing else shows, in a few words that go away by themselves. */
import type { ReactiveController, ReactiveControllerHost } from 'lit';
import { html } from './html.js';

export class StatusLine implements ReactiveController {
  #words = '';
  #forgetting: ReturnType<typeof setTimeout> | undefined;

  constructor(private readonly host: ReactiveControllerHost) {
    host.addController(this);
  }

  hostDisconnected(): void {
    clearTimeout(this.#forgetting);
  }

  tell(words: string): void {
    this.#words = words;
    this.host.requestUpdate();
    clearTimeout(this.#forgetting);
    if (words !== '') this.#forgetting = setTimeout(() => this.tell(''), 4_000);
  }

  /** There before it says something, for screen readers. */
  render() {
    return html`<p class="told" role="status" data-testid="told">${this.#words}</p>`;
  }
}
