import { execFileSync } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { createWriteStream, readFileSync, realpathSync, statSync } from 'node:fs';
import type { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import Docker from 'dockerode';
import { pack, type Pack } from 'tar-stream';
import { DemoError } from './errors.ts';

/** What is built with a Docker Engine. */
export interface EngineBuild {
  readonly bundle: string;
  readonly archive: string;
  /** Of the image, without a tag. */
  readonly name: string;
  /** Path of the bundle in the image. */
  readonly main: string;
}

const LOCAL_BASE = 'antirio/local-node';
const NODE_IN_IMAGE = 'usr/local/bin/node';

async function addFile(tar: Pack, name: string, source: string): Promise<void> {
  const content = readFileSync(source);
  const mode = statSync(source).mode & 0o777;
  await new Promise<void>((resolve, reject) =>
    tar.entry({ name, mode, size: content.length }, content, (error) => (error ? reject(error) : resolve())),
  );
}

/** The shared libraries of a program, as its loader finds them. */
export function librariesOf(program: string): string[] {
  const listed = execFileSync('ldd', [program], { encoding: 'utf8' });
  const paths = [...listed.matchAll(/(?:=>\s*)?(\/\S+)\s+\(0x/g)].map(([, found]) => found);
  return [...new Set(paths.filter((found) => found !== undefined))];
}

/** A tar stream that is filled while it is read: more than its buffer holds would wait for a reader for ever. */
function tarOf(fill: (tar: Pack) => Promise<void>): Readable {
  const tar = pack();
  fill(tar).then(
    () => tar.finalize(),
    (error: unknown) => tar.destroy(error instanceof Error ? error : undefined),
  );
  return tar as unknown as Readable;
}

/** A root file system with this machine's Node and its libraries, and nothing else. */
function localBase(): Readable {
  return tarOf(async (tar) => {
    const node = realpathSync(process.execPath);
    await addFile(tar, NODE_IN_IMAGE, node);
    for (const library of librariesOf(node)) await addFile(tar, library.slice(1), library);
    for (const name of ['tmp', 'app']) tar.entry({ name, type: 'directory', mode: 0o777 });
  });
}

interface EngineLine {
  readonly error?: string;
  readonly stream?: string;
}

async function followed(docker: Docker, answer: NodeJS.ReadableStream, what: string): Promise<void> {
  const lines = await new Promise<EngineLine[]>((resolve, reject) => {
    docker.modem.followProgress(answer, (error: Error | null, output: EngineLine[]) =>
      error === null ? resolve(output) : reject(error),
    );
  });
  const failed = lines.find(({ error }) => error !== undefined);
  if (failed !== undefined) throw new DemoError('unavailable', `${what}: ${failed.error ?? ''}`);
}

async function isThere(docker: Docker, image: string): Promise<boolean> {
  try {
    await docker.getImage(image).inspect();
    return true;
  } catch {
    return false;
  }
}

/** The image that the build starts from: `BASE_IMAGE` of the environment, else one made once of this machine's own Node. */
async function baseImage(docker: Docker): Promise<string> {
  const given = process.env['BASE_IMAGE'];
  if (given !== undefined && given !== '') return given;
  const node = createHash('sha256').update(readFileSync(process.execPath)).digest('hex');
  const tag = `${process.version}-${node.slice(0, 12)}`;
  const base = `${LOCAL_BASE}:${tag}`;
  if (await isThere(docker, base)) return base;
  await followed(
    docker,
    await docker.importImage(localBase(), { repo: LOCAL_BASE, tag }),
    'importing the local Node',
  );
  return base;
}

const DOCKERFILE = (main: string): string => `ARG BASE_IMAGE
FROM \${BASE_IMAGE}
ENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
COPY device-lora.mjs /${main}
WORKDIR /app
ENTRYPOINT ["node", "/${main}"]
`;

function buildContext({ bundle, main }: EngineBuild): Readable {
  return tarOf(async (tar) => {
    tar.entry({ name: 'Dockerfile' }, DOCKERFILE(main));
    await addFile(tar, 'device-lora.mjs', bundle);
  });
}

/**
 * Builds the image with the Docker Engine that `DOCKER_HOST` or the usual socket leads to, and saves it. The engine keeps the
 * base alone: what runs is loaded from the archive. Throws `unavailable` where no engine answers or the build fails.
 */
export async function buildWithEngine(spec: EngineBuild): Promise<string> {
  const docker = new Docker();
  try {
    await docker.ping();
  } catch (cause) {
    throw new DemoError('unavailable', 'no Docker Engine answers: --runtime docker needs one', { cause });
  }
  const base = await baseImage(docker);
  // Demos at the same time must not take each other's image for theirs.
  const tag = `${spec.name}:demo-${randomBytes(6).toString('hex')}`;
  const answer = await docker.buildImage(buildContext(spec), {
    t: tag,
    buildargs: { BASE_IMAGE: base },
    networkmode: 'none',
  });
  await followed(docker, answer, 'building the image');
  const image = docker.getImage(tag);
  try {
    const { Id } = await image.inspect();
    await pipeline(await image.get(), createWriteStream(spec.archive, { mode: 0o600 }));
    return `image ${Id.replace('sha256:', '').slice(0, 12)} of the device service, from ${base}`;
  } finally {
    await image.remove();
  }
}
