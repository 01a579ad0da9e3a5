import { createWriteStream } from 'node:fs';
import { link, lstat, mkdir, readdir, readlink, rm, symlink } from 'node:fs/promises';
import type { Stats } from 'node:fs';
import { join, posix } from 'node:path';
import type { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { Header } from 'tar-stream';
import { AntirioError } from '@antirio/kernel';
import { forEachEntry } from './tar-entries.ts';

/** What all layers of one image may take together. */
export interface UnpackBudget {
  bytes: number;
  entries: number;
}

const WHITEOUT = '.wh.';
const OPAQUE = '.wh..wh..opq';
const MAX_LINKS_FOLLOWED = 40;

const bad = (message: string, name: string): AntirioError =>
  new AntirioError('corrupt', `an image layer ${message}: ${JSON.stringify(name)}`, { name });

/** @throws AntirioError corrupt for names that lead out of the image. */
function partsOf(name: string): string[] {
  if (name.startsWith('/') || name.includes('\0')) throw bad('has an entry outside of the image', name);
  const parts = name.split('/').filter((part) => part !== '' && part !== '.');
  if (parts.includes('..')) throw bad('has an entry outside of the image', name);
  return parts;
}

async function statIfThere(path: string): Promise<Stats | undefined> {
  try {
    return await lstat(path);
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'ENOTDIR') return undefined;
    throw new AntirioError('unavailable', `cannot look at ${path}`, { path }, cause);
  }
}

/**
 * One image's file tree under a folder. Links inside it are stored as `../..` followed by plain names, counted from the real
 * folder they stand in, and only files are hard linked: so no chain of links can lead out, in whatever order they come.
 */
export class RootTree {
  readonly #root: string;
  readonly #budget: UnpackBudget;
  /** Paths that the layer at hand has made itself: its whiteouts do not concern them. */
  #own = new Set<string>();

  constructor(root: string, budget: UnpackBudget) {
    this.#root = root;
    this.#budget = budget;
  }

  /** Applies the next layer (OCI image specification, layer.md). @throws AntirioError corrupt | tooLarge */
  async apply(layer: Readable): Promise<void> {
    this.#own = new Set();
    await forEachEntry(layer, ({ header, body }) => this.#entry(header, body));
  }

  async #entry(header: Header, body: Readable): Promise<void> {
    if (--this.#budget.entries < 0) throw new AntirioError('tooLarge', 'the image has too many files');
    if ((this.#budget.bytes -= header.size) < 0)
      throw new AntirioError('tooLarge', 'the image is over the size limit');
    const parts = partsOf(header.name);
    const name = parts.pop();
    if (name === undefined) return;
    const parent = await this.#directory(parts);
    if (name.startsWith(WHITEOUT)) await this.#whiteout(parent, name);
    else await this.#make(header, body, parent, name);
  }

  async #whiteout(parent: readonly string[], name: string): Promise<void> {
    if (name !== OPAQUE) {
      const hidden = name.slice(WHITEOUT.length);
      if (hidden === '' || hidden === '.' || hidden === '..')
        throw bad('has a whiteout without a name', name);
      // `.wh..wh.*` are notes that old engines left for themselves
      if (!hidden.startsWith(WHITEOUT)) await this.#hide(parent, hidden);
      return;
    }
    for (const child of await readdir(join(this.#root, ...parent))) await this.#hide(parent, child);
  }

  /** Removes what lower layers brought, and keeps what this one did. */
  async #hide(parent: readonly string[], name: string): Promise<void> {
    const relative = [...parent, name];
    const path = join(this.#root, ...relative);
    if (!this.#own.has(relative.join('/'))) await rm(path, { recursive: true, force: true });
    else if ((await statIfThere(path))?.isDirectory() === true)
      for (const child of await readdir(path)) await this.#hide(relative, child);
  }

  async #make(header: Header, body: Readable, parent: readonly string[], name: string): Promise<void> {
    const make = this.#maker(header, body, parent);
    if (make === undefined) return;
    const relative = [...parent, name];
    const path = join(this.#root, ...relative);
    const there = await statIfThere(path);
    this.#own.add(relative.join('/'));
    if (header.type === 'directory' && there?.isDirectory() === true) return;
    if (there !== undefined) await rm(path, { recursive: true, force: true });
    await make(path);
  }

  /** Undefined for devices and pipes: nothing that a service without rights could use. */
  #maker(
    header: Header,
    body: Readable,
    parent: readonly string[],
  ): ((path: string) => Promise<unknown>) | undefined {
    switch (header.type) {
      case 'directory':
        return (path) => mkdir(path, { mode: 0o755 });
      case 'symlink':
        return (path) => symlink(linkTarget(parent, header.linkname, header.name), path);
      case 'link':
        return (path) => this.#hardlink(header, path);
      case 'file':
      case 'contiguous-file':
        // No set-user-id bits, nothing that others may write; `wx` never writes through a link
        return (path) =>
          pipeline(body, createWriteStream(path, { flags: 'wx', mode: (header.mode & 0o755) | 0o400 }));
      default:
        return undefined;
    }
  }

  async #hardlink(header: Header, path: string): Promise<void> {
    const parts = partsOf(header.linkname);
    const target = parts.pop();
    if (target === undefined) throw bad('links to nothing', header.name);
    const from = join(this.#root, ...(await this.#directory(parts)), target);
    if ((await statIfThere(from))?.isFile() !== true) throw bad('links hard to what is no file', header.name);
    await link(from, path);
  }

  /** The real folder behind a path in the image, made where it is not there; links are followed, never above the root. */
  async #directory(parts: readonly string[]): Promise<string[]> {
    const todo = [...parts];
    const here: string[] = [];
    let followed = 0;
    for (let part = todo.shift(); part !== undefined; part = todo.shift()) {
      if (part === '..') {
        here.pop();
        continue;
      }
      const path = join(this.#root, ...here, part);
      const stat = await statIfThere(path);
      if (stat === undefined) await mkdir(path, { mode: 0o755 });
      if (stat?.isSymbolicLink() === true) {
        if (++followed > MAX_LINKS_FOLLOWED) throw bad('has links in a circle', parts.join('/'));
        todo.unshift(...(await readlink(path)).split('/').filter((p) => p !== '' && p !== '.'));
        continue;
      }
      if (stat !== undefined && !stat.isDirectory()) throw bad('uses a file as a folder', parts.join('/'));
      here.push(part);
    }
    return here;
  }
}

/** The target as it is stored: relative, and inside the image. An absolute one is meant from the image's root. */
function linkTarget(parent: readonly string[], target: string, name: string): string {
  if (target === '' || target.includes('\0')) throw bad('links to nothing', name);
  const absolute = target.startsWith('/');
  const inside: string[] = absolute ? [] : [...parent];
  for (const part of target.split('/').filter((p) => p !== '' && p !== '.')) {
    if (part !== '..') inside.push(part);
    else if (inside.pop() === undefined && !absolute) throw bad('links out of the image', name);
  }
  const relative = posix.relative(`/${parent.join('/')}`, `/${inside.join('/')}`);
  return relative === '' ? '.' : relative;
}
