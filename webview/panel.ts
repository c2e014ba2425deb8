/** Entry of both webviews; `<body data-view="panel|side">` says which. */
import { App } from './app.js';
import './panel.css';
import { type Host, Store } from './store.js';

declare function acquireVsCodeApi(): Host;

const host = acquireVsCodeApi();
const store = new Store(host);
addEventListener('message', (event) => store.receive(event.data));

const app = new App();
app.store = store;
app.host = host;
app.side = document.body.dataset.view === 'side';
document.body.append(app);
store.send({ type: 'ready' });
