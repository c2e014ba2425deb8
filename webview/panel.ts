/** Entry of both webviews; `<body data-view="panel|side">` says which. */
import { App } from './app.js';
import './panel.css';
import { Store, type WebviewApi } from './store.js';

declare function acquireVsCodeApi(): WebviewApi;

const host = acquireVsCodeApi();
const store = new Store(host);
addEventListener('message', (event) => store.receive(event.data));

const app = new App();
app.store = store;
app.host = host;
app.side = document.body.dataset.view === 'side';
document.body.append(app);
store.send({ type: 'ready' });
