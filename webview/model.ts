/** Entry of the editor of a model's file. */
import { ModelPage } from './model/page.js';
import './panel.css';
import './model.css';
import { Store, type WebviewApi } from './store.js';

declare function acquireVsCodeApi(): WebviewApi;

const host = acquireVsCodeApi();
const store = new Store(host);
addEventListener('message', (event) => store.receive(event.data));

const page = new ModelPage();
page.store = store;
document.body.append(page);
store.send({ type: 'ready' });
