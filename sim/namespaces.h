// Each folder is a namespace. What a folder may name without saying where it stands is what the
// folders above it in this list declare: docs/architecture.md, "Rooms".
#pragma once

namespace qsim {

namespace golden {}
namespace text {
using namespace golden;
}
namespace io {
using namespace text;
}
namespace inputs {
using namespace io;
}
namespace statistics {
using namespace inputs;
}
namespace config {
using namespace statistics;
}
namespace network {
using namespace config;
}
namespace bundle {
using namespace network;
}
namespace semantics {
using namespace bundle;
}
namespace calibrate {
using namespace semantics;
}
namespace cosim {
using namespace calibrate;
}
namespace run {
using namespace cosim;
}
namespace report {
using namespace run;
}
namespace exporting {
using namespace report;
}
namespace explain {
using namespace exporting;
}
namespace diagnose {
using namespace explain;
}
namespace sweep {
using namespace diagnose;
}
namespace conform {
using namespace sweep;
}
namespace cli {
using namespace conform;
}
namespace derivation {
using namespace io;
}

}  // namespace qsim
