// One by one, as what one style sheet imports of another is not made smaller.
import './base.css';
import './toolbar.css';
import './session.css';
import './thread.css';
import './step.css';
import './files.css';
import './notice.css';
import './composer.css';
import './threads.css';
import './dialogs.css';
