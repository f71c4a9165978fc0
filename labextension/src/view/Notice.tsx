import * as React from 'react';

import type { Deed, INotice } from '../model/words';
import { TextButton } from './parts';
import { useServices } from './services';

/** What happened, what is kept, what to do. */
export function Notice(props: {
  notice: INotice;
  onDismiss?: () => void;
}): JSX.Element {
  const { trans, actions } = useServices();
  const [open, setOpen] = React.useState(false);
  const { notice } = props;
  const labels: Record<Deed, string> = {
    retry: trans.__('Try again'),
    continue: trans.__('Go on'),
    lean: trans.__('Ask for a leaner way'),
    connect: trans.__('Connect a model'),
    models: trans.__('Pick another model'),
    'new-thread': trans.__('New thread'),
    isolation: trans.__('Show the isolation'),
    reload: trans.__('Try again')
  };
  return (
    <div
      className="jp-CINotice"
      data-tone={notice.tone}
      role={notice.tone === 'error' ? 'alert' : 'note'}
    >
      <b>{notice.title}</b> {notice.text}
      {open && <pre className="jp-CINotice-details">{notice.details}</pre>}
      {(notice.deeds.length > 0 || notice.details || props.onDismiss) && (
        <div className="jp-CINotice-deeds">
          {notice.deeds.map(deed => (
            <TextButton
              key={deed}
              label={labels[deed]}
              onClick={() => actions.deed(deed)}
            />
          ))}
          {notice.details !== '' && (
            <TextButton
              label={open ? trans.__('Less') : trans.__('Details')}
              onClick={() => setOpen(!open)}
            />
          )}
          {props.onDismiss && (
            <TextButton label={trans.__('Dismiss')} onClick={props.onDismiss} />
          )}
        </div>
      )}
    </div>
  );
}
