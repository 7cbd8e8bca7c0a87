// A real browser, driven over the Chrome DevTools Protocol with what Node brings: no package is needed.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';

const LIMIT_MS = 60_000;

/** Starts Chromium without a window, runs `work` with a page, and stops it on every way out. */
export async function withPage(work) {
  const profile = mkdtempSync(join(tmpdir(), 'quaymaster-browser.'));
  // As root, as in a container, Chromium's own sandbox cannot be set up; all pages here are ours.
  const sandbox = process.getuid() === 0 ? ['--no-sandbox'] : [];
  const flags = ['--headless=new', '--disable-gpu', '--no-first-run', '--no-proxy-server', '--disable-dev-shm-usage'];
  const args = [...flags, ...sandbox, `--user-data-dir=${profile}`, '--remote-debugging-port=0', 'about:blank'];
  const chromium = spawn(process.env.QM_CHROMIUM ?? 'chromium', args, { stdio: 'ignore', detached: true });
  const ended = once(chromium, 'exit');
  try {
    const page = await Page.connect(join(profile, 'DevToolsActivePort'));
    await work(page);
    page.socket.close();
  } finally {
    try {
      process.kill(-chromium.pid, 'SIGKILL');
    } catch {
      // It has ended by itself.
    }
    await ended;
    rmSync(profile, { recursive: true, force: true, maxRetries: 5 });
  }
}

class Page {
  static async connect(file) {
    const deadline = Date.now() + LIMIT_MS;
    for (;;) {
      try {
        const [port] = readFileSync(file, 'utf8').split('\n');
        const targets = await (await fetch(`http://127.0.0.1:${port}/json/list`)).json();
        const socket = new WebSocket(targets.find((target) => target.type === 'page').webSocketDebuggerUrl);
        await new Promise((opened, failed) => Object.assign(socket, { onopen: opened, onerror: failed }));
        const page = new Page(socket);
        for (const domain of ['Page', 'Runtime', 'Log', 'Network']) await page.send(`${domain}.enable`);
        // The console is to work without scripts; what we evaluate ourselves still runs.
        await page.send('Emulation.setScriptExecutionDisabled', { value: true });
        return page;
      } catch (error) {
        if (Date.now() > deadline) throw error;
        await pause(50);
      }
    }
  }

  constructor(socket) {
    Object.assign(this, { socket, next: 1, waiting: new Map(), loads: 0, complaints: [], dialogs: 0, status: 0 });
    socket.onmessage = ({ data }) => this.take(JSON.parse(data));
  }

  take({ id, method, params, result, error }) {
    if (id) {
      const { done, failed } = this.waiting.get(id);
      this.waiting.delete(id);
      if (error) failed(new Error(error.message));
      else done(result);
    }
    if (method === 'Page.loadEventFired') this.loads += 1;
    if (method === 'Page.javascriptDialogOpening') this.dialogs += 1;
    if (method === 'Log.entryAdded') this.complaints.push(params.entry.text);
    if (method === 'Network.responseReceived' && params.type === 'Document') this.status = params.response.status;
  }

  send(method, params = {}) {
    const id = this.next++;
    return new Promise((done, failed) => {
      this.waiting.set(id, { done, failed });
      this.socket.send(JSON.stringify({ id, method, params }));
    });
  }

  /** The value of an expression in the page. */
  async ask(expression) {
    const { result, exceptionDetails } = await this.send('Runtime.evaluate', { expression, returnByValue: true });
    if (exceptionDetails) throw new Error(`${expression}: ${exceptionDetails.exception?.description}`);
    return result.value;
  }

  /** Does what loads another page, and waits until that is there. */
  async loading(act) {
    const before = this.loads;
    await act();
    const deadline = Date.now() + LIMIT_MS;
    while (this.loads === before) {
      if (Date.now() > deadline) throw new Error('no page was loaded');
      await pause(20);
    }
  }

  go(url) {
    return this.loading(() => this.send('Page.navigate', { url }));
  }

  click(selector) {
    return this.ask(`document.querySelector(${JSON.stringify(selector)}).click()`);
  }

  follow(selector) {
    return this.loading(() => this.click(selector));
  }

  /** Writes into a field as a keyboard does. */
  async write(selector, text) {
    await this.ask(`document.querySelector(${JSON.stringify(selector)}).focus()`);
    await this.send('Input.insertText', { text });
  }

  text() {
    // There is none while another page comes.
    return this.ask(`document.body?.innerText ?? ''`);
  }

  async frames() {
    const { frameTree } = await this.send('Page.getFrameTree');
    return (frameTree.childFrames ?? []).map(({ frame }) => frame.unreachableUrl ?? frame.url);
  }
}
