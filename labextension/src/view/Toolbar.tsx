import { addIcon, ellipsesIcon } from '@jupyterlab/ui-components';
import * as React from 'react';

import { consoleIcon, listIcon, notebookIcon } from '../icons';
import { IconButton } from './parts';
import { useServices, useSignals } from './services';

/** Where one is, and what can be done with the thread. */
export function Toolbar(): JSX.Element {
  const { model, trans, actions } = useServices();
  const { thread, session } = model;
  useSignals(thread.changed, session.changed, model.changed);
  const title = model.title || (thread.isEmpty ? trans.__('New thread') : '');
  const named = thread.id !== null;
  return (
    <div className="jp-CIToolbar">
      <IconButton
        icon={listIcon}
        label={trans.__('Threads')}
        onClick={() => model.show('threads')}
      />
      <h2
        className="jp-CIToolbar-title"
        title={named ? trans.__('%1 (double-click to rename)', title) : title}
        onDoubleClick={() =>
          named && actions.run('code-interpreter:rename-thread')
        }
      >
        {title}
      </h2>
      {named && (
        <>
          <IconButton
            icon={notebookIcon}
            label={trans.__('Make a notebook of this thread')}
            onClick={() => actions.run('code-interpreter:export-notebook')}
          />
          <IconButton
            icon={consoleIcon}
            label={trans.__('Open a console in this session')}
            disabled={!session.session?.kernel_id}
            onClick={() => actions.run('code-interpreter:open-console')}
          />
        </>
      )}
      <IconButton
        icon={addIcon}
        label={trans.__('New thread')}
        onClick={() => actions.run('code-interpreter:new-thread')}
      />
      <IconButton
        icon={ellipsesIcon}
        label={trans.__('More')}
        onClick={actions.menu}
      />
    </div>
  );
}
