import { describe, expect, test } from '@jest/globals';
import { ownContainer, pathsByMounts, sameHost } from './host-paths.ts';

const ID = 'db045eb062ec494e855b13a689849d404c4efbc5f68e1193d7edcf4fe4e80b8c';
const inContainer = [
  '623 531 0:52 / / rw,relatime - overlay overlay rw,lowerdir=/var/lib/docker/overlay2/l/A,upperdir=/x',
  `640 623 8:1 /var/lib/docker/containers/${ID}/resolv.conf /etc/resolv.conf rw - ext4 /dev/sda1 rw`,
  `641 623 8:1 /var/lib/docker/containers/${ID}/hostname /etc/hostname rw - ext4 /dev/sda1 rw`,
].join('\n');
// The engine's own state is on a partition of its own, as on balenaOS
const onBalena = `641 623 179:6 /docker/containers/${ID}/hosts /etc/hosts rw - ext4 /dev/mmcblk0p6 rw`;

describe('the container that a process runs in', () => {
  test('is told by the files that its engine mounts', () => {
    expect(ownContainer(inContainer)).toBe(ID);
    expect(ownContainer(onBalena)).toBe(ID);
  });

  test('is none on a host', () => {
    expect(ownContainer('22 1 8:1 / / rw,relatime - ext4 /dev/sda1 rw')).toBe(undefined);
    expect(ownContainer('')).toBe(undefined);
    expect(sameHost.onHost('/data/x')).toBe('/data/x');
  });
});

describe('paths of a container', () => {
  const paths = pathsByMounts([
    { Type: 'volume', Source: '/var/lib/docker/volumes/edge_data/_data', Destination: '/data' },
    { Type: 'volume', Source: '/var/lib/docker/volumes/edge_run/_data', Destination: '/data/run' },
    { Type: 'tmpfs', Source: '', Destination: '/tmp' },
  ]);

  test('are those of the deepest mount that they lie in', () => {
    expect(paths.onHost('/data')).toBe('/var/lib/docker/volumes/edge_data/_data');
    expect(paths.onHost('/data/services/c1')).toBe('/var/lib/docker/volumes/edge_data/_data/services/c1');
    expect(paths.onHost('/data/run/a/b')).toBe('/var/lib/docker/volumes/edge_run/_data/a/b');
    expect(paths.onHost('/data/runner')).toBe('/var/lib/docker/volumes/edge_data/_data/runner');
  });

  test('in no mount, or on a tmpfs of this container alone, are refused with what to do', () => {
    expect(() => paths.onHost('/database')).toThrow(/mount a volume/);
    expect(() => paths.onHost('/tmp/run')).toThrow(/orchestrator\.runRoot/);
  });
});
