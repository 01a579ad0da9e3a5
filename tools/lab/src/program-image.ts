import { cpSync, existsSync, mkdirSync, mkdtempSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { docker, ImageError, run } from '@antirio/edge-image';
import type { Override } from './compose.ts';

/** A foreign program that an override brings. */
interface Program {
  /** Of docker/lab's file. */
  readonly variable: string;
  /** As registries have it. */
  readonly image: string;
  /** As Debian's package installs it. */
  readonly path: string;
  /** What the registry's image has besides, in the same places. */
  readonly files: Readonly<Record<string, string>>;
}

const PROGRAMS: Partial<Record<Override, Program>> = {
  redis: {
    ...{ variable: 'LAB_REDIS_IMAGE', image: 'redis:7-alpine', path: '/usr/bin/redis-server' },
    files: {},
  },
  mosquitto: {
    ...{ variable: 'LAB_MOSQUITTO_IMAGE', image: 'eclipse-mosquitto:2', path: '/usr/sbin/mosquitto' },
    files: {
      'mosquitto-no-auth.conf': 'listener 1883\nallow_anonymous true\n',
      // the user that it becomes
      'etc/passwd': 'root:x:0:0::/:/\nmosquitto:x:1883:1883::/:/\n',
      'etc/group': 'root:x:0:\nmosquitto:x:1883:\n',
    },
  },
};

/** A program of this machine and all the libraries that it loads, by where it finds them. */
async function partsOf(program: string): Promise<string[]> {
  const { code, out, err } = await run('ldd', [program]);
  if (code !== 0) throw new ImageError(`the libraries of ${program} are not known: ${err.trim()}`);
  return [program, ...[...out.matchAll(/(\/[^ )]+) \(0x/g)].map(([, library = '']) => library)];
}

/** An image with a program of this machine's Debian in it, and no more. Its command is to be named, as the registry's takes it. */
async function pack(name: string, { path, files }: Program): Promise<string> {
  const tag = `antirio/${name}:lab`;
  const folder = mkdtempSync(join(tmpdir(), 'antirio-program-'));
  const place = (file: string): string => {
    const at = join(folder, 'root', file);
    mkdirSync(dirname(at), { recursive: true });
    return at;
  };
  try {
    for (const part of await partsOf(path)) cpSync(realpathSync(part), place(part));
    for (const [file, content] of Object.entries(files)) writeFileSync(place(file), content);
    mkdirSync(place('data'));
    const archive = join(folder, 'root.tar');
    const tar = [
      '--create',
      '--file',
      archive,
      '--owner=0',
      '--group=0',
      '--directory',
      join(folder, 'root'),
    ];
    const { code, err } = await run('tar', [...tar, '.']);
    if (code !== 0) throw new ImageError(`the image of ${name} was not made: ${err.trim()}`);
    await docker([
      'import',
      '--change',
      `ENV PATH=${dirname(path)}`,
      '--change',
      'WORKDIR /data',
      archive,
      tag,
    ]);
  } finally {
    rmSync(folder, { recursive: true });
  }
  return tag;
}

/**
 * The variables that name the images of the overrides' programs: the registry's, where it is here already or this machine has no such
 * program; else one that is made of this machine's. What is not here is fetched by Compose.
 */
export async function programImages(overrides: readonly Override[]): Promise<Record<string, string>> {
  const images: Record<string, string> = {};
  for (const name of overrides) {
    const program = PROGRAMS[name];
    if (program === undefined) continue;
    const there = await run('docker', ['image', 'inspect', '--format', '{{.Id}}', program.image]);
    const isMade = there.code !== 0 && existsSync(program.path);
    images[program.variable] = isMade ? await pack(name, program) : program.image;
  }
  return images;
}
