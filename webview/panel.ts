/** Entry of the panel, of reports, and of the editor of saved results; `<body data-view="panel|report">` says which. */
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
app.report = document.body.dataset.view === 'report';
document.body.append(app);
store.send({ type: 'ready' });
