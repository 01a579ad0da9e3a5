import { describe, expect, test } from '@jest/globals';
import { docker, engineFault, ImageError, run } from './engine.ts';

describe('what the engine’s client says is told with what to do', () => {
  test.each([
    [
      'permission denied while trying to connect to the Docker daemon socket at unix:///var/run/docker.sock',
      'usermod -aG docker',
    ],
    [
      'Cannot connect to the Docker daemon at unix:///var/run/docker.sock. Is the docker daemon running?',
      'systemctl start docker',
    ],
    ['exec /usr/local/bin/node: exec format error', 'for another processor'],
    ['write /var/lib/docker/tmp/x: no space left on device', 'docker system df'],
    ['Pool overlaps with other one on this address space', 'LAB_SUBNET=10.77.1'],
    ['Bind for 0.0.0.0:59880 failed: port is already allocated', 'ss -ltnup'],
    [
      'Get "https://registry.example/v2/": net/http: request canceled while waiting for connection',
      'leave --base out',
    ],
    ['something that nobody has seen', 'the container engine refused: something that nobody has seen'],
  ])('%s', (said, told) => {
    expect(engineFault(said)).toContain(told);
  });

  test('no engine at all', async () => {
    const told = docker(['version'], {
      env: { ...process.env, DOCKER_HOST: 'unix:///nonexistent/docker.sock' },
    });
    await expect(told).rejects.toThrow(ImageError);
    await expect(told).rejects.toThrow(/start it|install it/);
  });

  test('a command that is not there', async () => {
    await expect(run('antirio-no-such-command', [])).rejects.toThrow(
      'there is no antirio-no-such-command here',
    );
  });
});
