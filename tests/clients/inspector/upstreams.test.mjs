// The MCP Inspector's command line, through the gateway, to prompts and resources of MCP servers.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { OK, http, inspect } from './peer.mjs';

const ASKED = {
  'resources/templates/list': { options: [], says: /"test:\/\/template\/\{id\}\/data"/ },
  'resources/read': { options: ['--uri', 'test://static-text'], says: /static text resource/ },
  'prompts/get': { options: ['--prompt-name', 'legacy_test_prompt_with_arguments', '--prompt-args', 'arg1=a', 'arg2=b'], says: /arg1='a', arg2='b'/ }
};

for (const era of ['legacy', 'modern']) {
  for (const [method, { options, says }] of Object.entries(ASKED)) {
    test(`${era}: ${method}`, () => {
      const answer = inspect(http(era, 'analyst'), ['--method', method, ...options]);
      assert.equal(answer.status, OK, answer.detail);
      assert.match(answer.text, says);
    });
  }
}
