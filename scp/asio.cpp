// Asio's bodies, once for the whole program (see asio.h).
#include "scp/asio.h"

#include <boost/asio/impl/src.hpp>
#include <boost/asio/ssl/impl/src.hpp>
